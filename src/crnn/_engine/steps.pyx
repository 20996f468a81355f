# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Steps of training one after the other, without Python between them.

A small network's step takes as long as a few dozen calls from Python. `Steps` runs many: it gathers
a batch, goes forward and backward through the layers, clips the gradient and updates the
parameters. These are the kernels, in the order, that `crnn._training.trainer` calls, so the
parameters have the same bits.
"""
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cimport numpy as cnp

import numpy as np

from crnn._engine.workspace import aligned

from crnn._c_api cimport crnn_rnn_call
from crnn._engine.blas cimport real
from crnn._engine.constraints cimport constrained_numbers, mask, project
from crnn._engine.gathering cimport examples_of, gather
from crnn._engine.integers cimport symbols_fit, within
from crnn._engine.kernels cimport _operations, _threads, clip_numbers
from crnn._engine.losses cimport LOSS_CLASSES, loss_kind, mean_loss
from crnn._engine.network cimport (backward_pass, forward_pass, network_calls, place, set_threads,
                                   set_seed, set_workspace, workspace_of)
from crnn._engine.records cimport read_examples, read_network
from crnn._engine.updates cimport data as _data, read_rule, update, update_rule

cnp.import_array()

cdef enum Ending:
    GOOD, OF_X, OF_Y, LOSS, GRADIENT, UPDATE

ENDINGS = ("", "x", "y", "loss", "gradient", "update")


cdef double clip(real *gradients, Py_ssize_t size, double most, double limit) noexcept nogil:
    """Clip to ``-limit..limit``, then the norm to `most`. Returns the norm before both."""
    cdef Py_ssize_t i
    cdef real least = <real>-limit, largest = <real>limit
    if limit == INFINITY:
        return clip_numbers(gradients, size, most)
    cdef double norm = clip_numbers(gradients, size, INFINITY)
    if isfinite(norm):
        for i in range(size):
            gradients[i] = least if gradients[i] < least else gradients[i]
            gradients[i] = largest if gradients[i] > largest else gradients[i]
        clip_numbers(gradients, size, most)
    return norm


cdef class Steps:
    """The records of the calls of a step, for batches of up to m examples of up to T steps.

    Every array has been checked and allocated by the caller; all are C-contiguous.

    cells : for each recurrence in order (inputs, a, kept, c_n, dx, gradients), as
        `recurrence.CellInputs` of a whole batch; a (T, m, n_a); what else forward fills, or None;
        dx (T, m, n_in) or None for the lowest layer; dWaa, dWax, dba and dbaa or None. The input of
        a layer is a of the one below; with two directions or dropout it is an array (T, m, n_in) of
        its own
    between : for each of two directions an array (T, m, n_a), for the gradient between layers
    reads : for each direction its columns, and arrays or None, as `direction_read`; empty if the
        output layer reads a of the only direction itself, at every step or at the last one
    head : Wya, by, dWya, dby, logits (rows, n_y), features or None and dfeatures (rows, width)
    flat : parameters, gradients and the last good parameters, (size,)
    loss : its kind, of `losses.KINDS`, and float64 numbers: delta, or the levels of quantiles
    data : x, y and weights, the last may be None: of each the addresses of the M examples, the
        bytes of a row and from a row to that of the next step, an array of T steps of m examples,
        for a batch, and the arrays at the addresses, which are held. Rows of x are numbers or a
        symbol; y and weights have one row, or one for each step
    lengths : (M,) or None; nobody else may change them
    every_step : whether y has a row for each step
    noise, dropout : of the model
    constraints : of `Constraints.of_flat`, or None
    """
    cdef network_calls net
    cdef Py_ssize_t T, M, m, n_x, n_y, size, item, workspace_size
    cdef examples_of x, y, weights
    cdef constrained_numbers constrained
    cdef const Py_ssize_t *lengths
    cdef Py_ssize_t *batch_lengths  # (m,)
    cdef loss_kind loss
    cdef void *parameters
    cdef void *gradients
    cdef void *last_good
    cdef object arrays  # that the pointers point into
    cdef object workspace

    def __cinit__(self, cells, between, reads, head, flat, loss, data, lengths, bint every_step,
                  double noise, double dropout, constraints):
        self.net.forward = <crnn_rnn_call *>malloc(len(cells) * sizeof(crnn_rnn_call))
        self.net.backward = <crnn_rnn_call *>malloc(len(cells) * sizeof(crnn_rnn_call))
        if self.net.forward == NULL or self.net.backward == NULL:
            raise MemoryError
        self.net.every_step, self.net.dropout = every_step, dropout
        read_network(&self.net, cells, between, reads, head, noise)
        cdef crnn_rnn_call *first = self.net.forward
        self.T, self.m, self.n_x, self.n_y = first.T, first.m, first.n_x, self.net.head.n_out
        self.size, self.item = len(flat[0]), flat[0].itemsize
        self.loss.kind, numbers = loss
        self.loss.level, self.loss.levels = <double *>_data(numbers), len(numbers)
        self.loss.delta = numbers[0]
        self.M = len(data[0][0])
        read_examples(&self.x, data[0])
        read_examples(&self.y, data[1])
        read_examples(&self.weights, data[2])
        self.parameters, self.gradients, self.last_good = (_data(flat[0]), _data(flat[1]),
                                                           _data(flat[2]))
        self.lengths, own = <const Py_ssize_t *>_data(lengths), np.empty(self.m, np.intp)
        if self.lengths != NULL and not within(self.lengths, self.M, 1, self.T):
            raise RuntimeError("lengths: expected 1..T; they have changed since checked")
        self.batch_lengths = <Py_ssize_t *>_data(own)
        if constraints is not None:
            places, closed, least, most = constraints
            self.constrained.count = len(places)
            self.constrained.places = <const Py_ssize_t *>_data(places)
            self.constrained.closed = <const char *>_data(closed)
            self.constrained.least, self.constrained.most = _data(least), _data(most)
        self.arrays = [constraints, cells, between, reads, head, flat, numbers, data, lengths, own]

    def __dealloc__(self):
        free(self.net.forward)
        free(self.net.backward)

    cdef void _place(self, const Py_ssize_t *chosen, Py_ssize_t m) noexcept nogil:
        """Set the sizes of a batch of chosen examples, and its lengths if they are not equal."""
        cdef Py_ssize_t i, T = self.T, steps = T * m
        cdef const Py_ssize_t *lengths = NULL
        if self.lengths != NULL:
            T = steps = 0
            for i in range(m):
                self.batch_lengths[i] = self.lengths[chosen[i]]
                T = max(T, self.batch_lengths[i])
                steps += self.batch_lengths[i]
            if steps < T * m:
                lengths = self.batch_lengths
        place(&self.net, T, m, lengths, steps if self.net.every_step else m)

    cdef object _prepare(self, const Py_ssize_t *order, const Py_ssize_t *begins, Py_ssize_t count):
        """Find memory for the workspace of any of the next batches."""
        cdef Py_ssize_t s, largest = 0
        cdef Py_ssize_t m, before = 0
        for s in range(count):
            m = begins[s + 1] - begins[s]
            if m != before or self.lengths != NULL:
                self._place(&order[begins[s]], m)
                largest = max(largest, workspace_of(&self.net))
            before = m
        if self.workspace is None or self.workspace_size < largest:
            dtype = np.dtype(np.float64 if self.net.double_precision else np.float32)
            self.workspace, self.workspace_size = aligned(largest, dtype), largest
            set_workspace(&self.net, _data(self.workspace))

    cdef void _gather(self, const Py_ssize_t *chosen) noexcept nogil:
        """Copy the chosen examples to the arrays of the batch."""
        cdef const crnn_rnn_call *call = self.net.forward
        cdef Py_ssize_t steps = call.T if self.net.every_step else 1
        gather(&self.x, chosen, call.T, call.m, call.lengths, False)
        gather(&self.y, chosen, steps, call.m, call.lengths, True)
        if self.weights.addresses != NULL:
            gather(&self.weights, chosen, steps, call.m, call.lengths, True)

    cdef bint _symbols_fit(self) noexcept nogil:
        cdef const crnn_rnn_call *call = self.net.forward
        return call.x != NULL or symbols_fit(call.symbols, call.lengths, call.T, call.m, self.n_x)

    cdef double _gradient(self, double *metric) noexcept nogil:
        """Forward and backward. Returns the mean loss, and fills in the metric."""
        cdef double loss
        forward_pass(&self.net)
        loss = mean_loss(_operations(self.net.double_precision), &self.loss, self.net.head.rows,
                         self.n_y, self.y.batch, self.weights.batch, self.net.head.y, metric)
        backward_pass(&self.net)
        return loss

    cdef void _mask(self) noexcept nogil:
        if self.net.double_precision:
            mask(&self.constrained, <double *>self.gradients)
        else:
            mask(&self.constrained, <float *>self.gradients)

    cdef void _project(self) noexcept nogil:
        if self.net.double_precision:
            project(&self.constrained, <double *>self.parameters)
        else:
            project(&self.constrained, <float *>self.parameters)

    cdef double _clip(self, double most, double limit) noexcept nogil:
        if self.net.double_precision:
            return clip(<double *>self.gradients, self.size, most, limit)
        return clip(<float *>self.gradients, self.size, most, limit)

    cdef void _restore(self) noexcept nogil:
        memcpy(self.parameters, self.last_good, self.size * self.item)

    cdef int _step(self, update_rule *rule, const Py_ssize_t *chosen, Py_ssize_t m, double lr,
                   double most, double limit, double *sums) noexcept nogil:
        """One step. `sums` are those of the epoch: loss, metric, norm; at an error sums[3] is set
        to the loss."""
        cdef Py_ssize_t rows
        cdef double loss, metric, norm
        self._place(chosen, m)
        self._gather(chosen)
        rows = self.net.head.rows
        if self.loss.kind == LOSS_CLASSES and not within(<Py_ssize_t *>self.y.batch, rows, 0,
                                                         self.n_y - 1):
            return OF_Y
        if not self._symbols_fit():
            return OF_X
        loss = self._gradient(&metric)
        self._mask()
        norm = self._clip(most, limit)
        sums[3] = loss
        if not (isfinite(loss) and isfinite(norm)):
            self._restore()
            return GRADIENT if isfinite(loss) else LOSS
        memcpy(self.last_good, self.parameters, self.size * self.item)
        update(_operations(self.net.double_precision), rule, self.parameters, self.gradients, lr)
        if not _operations(self.net.double_precision).all_finite(self.size, self.parameters):
            self._restore()
            return UPDATE
        self._project()
        sums[0] += loss * rows
        sums[1] += metric * rows
        sums[2] += norm
        return GOOD

    def run(self, tuple optimizer, const Py_ssize_t[::1] order, const Py_ssize_t[::1] begins,
            const double[::1] rates, const uint64_t[::1] seeds, double most, double limit,
            double[::1] sums):
        """Take len(rates) steps, and return how they ended.

        The optimizer is as `updates.read_rule` takes it. Step s has the examples
        ``order[begins[s] : begins[s + 1]]``, the rate ``rates[s]`` and, for noise and dropout, the
        seed ``seeds[s]``. The gradient is clipped to ``-limit..limit``, then its norm to `most`.
        Adds to sums: loss and metric times rows, and norms; sums[3] is the last loss.
        Returns the number of good steps, and how the next one failed: one of ENDINGS.
        The memory of the optimizer counts the good steps before it returns, since a second Ctrl-C
        may raise as soon as Python runs again.
        """
        cdef Py_ssize_t s, count = rates.shape[0]
        cdef int ending = GOOD
        cdef update_rule rule
        cdef dict memory = optimizer[1]
        read_rule(&rule, self.net.double_precision, self.size, optimizer)
        self._prepare(&order[0], &begins[0], count)
        set_threads(&self.net, _threads())
        with nogil:
            for s in range(count):
                set_seed(&self.net, seeds[s])
                ending = self._step(&rule, &order[begins[s]], begins[s + 1] - begins[s], rates[s],
                                    most, limit, &sums[0])
                if ending != GOOD:
                    break
            else:
                s = count
        if s > 0:
            memory["step"] += s
            memory["lr"] = rates[s - 1]
        return s, ENDINGS[ending]
