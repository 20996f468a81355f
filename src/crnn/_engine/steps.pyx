# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Steps of training one after the other, without Python between them.

A small network's step takes as long as a few dozen calls from Python. `Steps` runs many: it gathers
a batch, goes forward and backward through the layers, clips the gradient and updates the
parameters. A step may be on the mean gradient of several batches. These are the kernels, in the
order, that `crnn._training.trainer` calls, so the parameters have the same bits.
"""
from libc.math cimport isfinite
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

cimport numpy as cnp

import numpy as np

from crnn._engine.workspace import aligned

from crnn._c_api cimport crnn_rnn_call
from crnn._engine.constraints cimport constrained_numbers, mask, project
from crnn._engine.gathering cimport examples_of, gather
from crnn._engine.integers cimport symbols_fit, within
from crnn._engine.kernels cimport _operations, _threads
from crnn._engine.losses cimport LOSS_CLASSES, loss_kind, mean_loss
from crnn._engine.means cimport add_gradient, take_mean
from crnn._engine.network cimport (backward_pass, forward_pass, network_calls, place, set_threads,
                                   set_seed, set_workspace, workspace_of)
from crnn._engine.records cimport read_examples, read_network, read_starts
from crnn._engine.starts cimport (BEFORE, GIVEN, OWN, SET, Origin, begin, keep_ends, start_of,
                                  sum_gradients)
from crnn._engine.updates cimport clip, data as _data, read_rule, update, update_rule

cnp.import_array()

cdef enum Ending:
    GOOD, OF_X, OF_Y, LOSS, GRADIENT, UPDATE

ENDINGS = ("", "x", "y", "loss", "gradient", "update")
ORIGINS = {"own": OWN, "given": GIVEN, "set": SET}


cdef class Steps:
    """The records of the calls of a step, for batches of up to m examples of up to T steps.

    Every array has been checked and allocated by the caller; all are C-contiguous.

    cells : for each recurrence in order (inputs, a, kept, c_n, dx, gradients, rate), as
        `recurrence.CellInputs` of a whole batch; a (T, m, n_a); what else forward fills, or None;
        dx (T, m, n_in) or None for the lowest layer; dWaa, dWax, dba and dbaa or None; and f of the
        states (T, m, n_a), which others then read, or None. The input of a layer is what it reads
        of the one below; with two directions or dropout it is an array (T, m, n_in) of its own
    starts : the states that recurrences may begin from: of each the number of the recurrence,
        whether it is the cell c of an LSTM, arrays (m, n_a), (n_a,), (m, n_a) and (n_a,) for it,
        for the trained one and for their gradients, the last three or None; and as in `data`, with
        the first array for a batch, those of the examples, or None
    between : for each of two directions an array (T, m, n_a), for the gradient between layers
    reads : for each direction its columns, and arrays or None, as `direction_read`; empty if the
        output layer reads a of the only direction itself, at every step or at the last one
    head : Wya, by, dWya, dby, logits (rows, n_y), features or None and dfeatures (rows, width)
    flat : parameters, gradients and the last good parameters, (size,)
    loss : its kind, of `losses.KINDS`, and float64 numbers: delta, or the levels of quantiles
    data : as `set_data` takes it: x, y and weights, the last may be None: of each the addresses of
        the M examples, the bytes of a row and from a row to that of the next step, an array of T
        steps of m examples, for a batch, and the arrays at the addresses, which are held. Rows of x
        are numbers or a symbol; y and weights have one row, or one for each step
    lengths : (M,) or None; nobody else may change them
    every_step : whether y has a row for each step
    noise, dropout : of the model
    constraints : of `Constraints.of_flat`, or None
    total : (size,) of float64 for the sums of several gradients, or None
    """
    cdef network_calls net
    cdef start_of *starts
    cdef Py_ssize_t T, M, m, n_x, n_y, size, workspace_size, num_starts
    cdef Origin origin  # of the next batch
    cdef double *total
    cdef examples_of x, y, weights
    cdef constrained_numbers constrained
    cdef const Py_ssize_t *lengths
    cdef Py_ssize_t *batch_lengths  # (m,)
    cdef loss_kind loss
    cdef void *parameters
    cdef void *gradients
    cdef void *last_good
    cdef object arrays  # that the pointers point into
    cdef object data
    cdef object workspace

    def __cinit__(self, cells, starts, between, reads, head, flat, loss, data, lengths,
                  bint every_step, double noise, double dropout, constraints, total):
        self.num_starts = len(starts)
        self.net.forward = <crnn_rnn_call *>malloc(len(cells) * sizeof(crnn_rnn_call))
        self.net.backward = <crnn_rnn_call *>malloc(len(cells) * sizeof(crnn_rnn_call))
        self.starts = <start_of *>calloc(max(self.num_starts, 1), sizeof(start_of))
        if self.net.forward == NULL or self.net.backward == NULL or self.starts == NULL:
            raise MemoryError
        if cells[0][6] is not None:
            self.net.rates = <void **>malloc(len(cells) * sizeof(void *))
            if self.net.rates == NULL:
                raise MemoryError
        self.net.every_step, self.net.dropout = every_step, dropout
        read_network(&self.net, cells, between, reads, head, noise)
        read_starts(self.starts, &self.net, starts)
        cdef crnn_rnn_call *first = self.net.forward
        self.T, self.m, self.n_x, self.n_y = first.T, first.m, first.n_x, self.net.head.n_out
        self.size, self.total = len(flat[0]), <double *>_data(total)
        self.loss.kind, numbers = loss
        self.loss.level, self.loss.levels = <double *>_data(numbers), len(numbers)
        self.loss.delta = numbers[0]
        self.set_data(data)
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
        self.arrays = [constraints, cells, starts, between, reads, head, flat, numbers, lengths,
                       own, total]

    def __dealloc__(self):
        free(self.net.forward)
        free(self.net.backward)
        free(self.net.rates)
        free(self.starts)

    def set_data(self, data):
        """Read the next batches from these examples, into the same arrays for a batch as before."""
        self.M, self.data = len(data[0][0]), list(data)
        read_examples(&self.x, data[0])
        read_examples(&self.y, data[1])
        read_examples(&self.weights, data[2])

    cdef void _place(self, const Py_ssize_t *chosen, const Py_ssize_t *batch) noexcept nogil:
        """Set the sizes of a batch of chosen examples, and its lengths if they are not equal."""
        cdef Py_ssize_t i, T = batch[3], m = batch[1] - batch[0], steps = T * m
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

    cdef object _prepare(self, const Py_ssize_t *order, const Py_ssize_t[:, ::1] batches):
        """Find memory for the workspace of any of the next batches."""
        cdef Py_ssize_t b, m, m_before = 0, T_before = 0, largest = 0
        for b in range(batches.shape[0]):
            m = batches[b, 1] - batches[b, 0]
            if m != m_before or batches[b, 3] != T_before or self.lengths != NULL:
                self._place(&order[batches[b, 0]], &batches[b, 0])
                largest = max(largest, workspace_of(&self.net))
            m_before, T_before = m, batches[b, 3]
        if self.workspace is None or self.workspace_size < largest:
            dtype = np.dtype(np.float64 if self.net.double_precision else np.float32)
            self.workspace, self.workspace_size = aligned(largest, dtype), largest
            set_workspace(&self.net, _data(self.workspace))

    cdef void _gather(self, const Py_ssize_t *chosen, Py_ssize_t first) noexcept nogil:
        """Copy the chosen examples, from their step `first` on, to the arrays of the batch."""
        cdef const crnn_rnn_call *call = self.net.forward
        cdef Py_ssize_t steps = call.T if self.net.every_step else 1
        gather(&self.x, chosen, first, call.T, call.m, call.lengths, False)
        gather(&self.y, chosen, first, steps, call.m, call.lengths, True)
        if self.weights.addresses != NULL:
            gather(&self.weights, chosen, first, steps, call.m, call.lengths, True)

    cdef bint _symbols_fit(self) noexcept nogil:
        cdef const crnn_rnn_call *call = self.net.forward
        return call.x != NULL or symbols_fit(call.symbols, call.lengths, call.T, call.m, self.n_x)

    cdef int _gradient(self, const Py_ssize_t *order, const Py_ssize_t *batch, uint64_t seed,
                       double *loss, double *metric) noexcept nogil:
        """Forward and backward. Fills in the gradient of a batch, its mean loss and metric."""
        cdef const Py_ssize_t *chosen = order + batch[0]
        cdef Py_ssize_t rows
        if self.origin == BEFORE:
            keep_ends(&self.net, self.starts, self.num_starts)
        self._place(chosen, batch)
        self._gather(chosen, batch[2])
        begin(&self.net, self.starts, self.num_starts, self.origin, chosen)
        set_seed(&self.net, seed)
        rows = self.net.head.rows
        if self.loss.kind == LOSS_CLASSES and not within(<Py_ssize_t *>self.y.batch, rows, 0,
                                                         self.n_y - 1):
            return OF_Y
        if not self._symbols_fit():
            return OF_X
        forward_pass(&self.net)
        loss[0] = mean_loss(_operations(self.net.double_precision), &self.loss, rows, self.n_y,
                            self.y.batch, self.weights.batch, self.net.head.y, metric)
        backward_pass(&self.net)
        sum_gradients(&self.net, self.starts, self.num_starts, self.origin)
        mask(&self.constrained, self.net.double_precision, self.gradients)
        return GOOD

    cdef int _mean_gradient(self, const Py_ssize_t *order, const Py_ssize_t *batch,
                            const uint64_t *seeds, Py_ssize_t count, bint carry, double *loss,
                            double *metric, Py_ssize_t *rows) noexcept nogil:
        """Fill in the mean gradient of some batches, their mean loss and metric, and rows."""
        cdef Py_ssize_t b
        cdef int ending
        cdef double sums[2]
        sums[0] = sums[1] = rows[0] = 0
        for b in range(count):
            ending = self._gradient(order, batch + 4 * b, seeds[b], loss, metric)
            if ending != GOOD:
                return ending
            if carry:
                self.origin = BEFORE
            rows[0] += self.net.head.rows
            if count > 1:
                add_gradient(self.total, self.net.double_precision, self.gradients, self.size,
                             self.net.head.rows, b == 0)
                sums[0] += loss[0] * self.net.head.rows
                sums[1] += metric[0] * self.net.head.rows
        if count > 1:
            take_mean(self.total, self.net.double_precision, self.gradients, self.size, rows[0])
            loss[0], metric[0] = sums[0] / rows[0], sums[1] / rows[0]
        return GOOD

    cdef void _restore(self) noexcept nogil:
        memcpy(self.parameters, self.last_good, self.size * self.net.item)

    cdef int _step(self, update_rule *rule, double loss, double lr, double most, double limit,
                   double *norm) noexcept nogil:
        """Clip the gradient, and update the parameters."""
        norm[0] = clip(self.net.double_precision, self.gradients, self.size, most, limit)
        if not (isfinite(loss) and isfinite(norm[0])):
            self._restore()
            return GRADIENT if isfinite(loss) else LOSS
        memcpy(self.last_good, self.parameters, self.size * self.net.item)
        update(_operations(self.net.double_precision), rule, self.parameters, self.gradients, lr)
        if not _operations(self.net.double_precision).all_finite(self.size, self.parameters):
            self._restore()
            return UPDATE
        project(&self.constrained, self.net.double_precision, self.parameters)
        return GOOD

    def run(self, tuple optimizer, const Py_ssize_t[::1] order, const Py_ssize_t[:, ::1] batches,
            const Py_ssize_t[::1] groups, const double[::1] rates, const uint64_t[::1] seeds,
            str origin, bint carry, double most, double limit, double[::1] sums):
        """Take len(rates) steps, and return how they ended.

        The optimizer is as `updates.read_rule` takes it. Step s is on the mean gradient of the
        batches ``groups[s]`` to ``groups[s + 1] - 1``, at the rate ``rates[s]``. Batch b has the
        examples ``order[batches[b, 0] : batches[b, 1]]``, of each the steps from ``batches[b, 2]``
        on, ``batches[b, 3]`` of them or up to its length, and for noise and dropout the seed
        ``seeds[b]``. They begin from zeros or the trained states ("own"), from given ones, or from
        those that the caller has set; with `carry` this is true of the first batch, and the others
        begin where the one before ended. The gradient is clipped to ``-limit..limit``, then its
        norm to `most`.
        Adds to sums: loss and metric times rows, and norms; sums[3] is the last loss.
        Returns the number of good steps, and how the next one failed: one of ENDINGS.
        The memory of the optimizer counts the good steps before it returns, since a second Ctrl-C
        may raise as soon as Python runs again.
        """
        cdef Py_ssize_t s, rows, count = rates.shape[0]
        cdef int ending = GOOD
        cdef double loss, metric, norm
        cdef update_rule rule
        cdef dict memory = optimizer[1]
        read_rule(&rule, self.net.double_precision, self.size, optimizer)
        self._prepare(&order[0], batches)
        set_threads(&self.net, _threads())
        self.origin = ORIGINS[origin]
        with nogil:
            for s in range(count):
                ending = self._mean_gradient(&order[0], &batches[groups[s], 0], &seeds[groups[s]],
                                             groups[s + 1] - groups[s], carry, &loss, &metric,
                                             &rows)
                if ending == GOOD:
                    sums[3] = loss
                    ending = self._step(&rule, loss, rates[s], most, limit, &norm)
                if ending != GOOD:
                    break
                sums[0] += loss * rows
                sums[1] += metric * rows
                sums[2] += norm
            else:
                s = count
        if s > 0:
            memory["step"] += s
            memory["lr"] = rates[s - 1]
        return s, ENDINGS[ending]
