# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Steps of training one after the other, without Python between them.

A small network's step takes as long as a few dozen calls from Python. `Steps` runs many: it gathers
a batch, goes forward and backward through the layers, clips the gradient and updates the
parameters. These are the kernels, in the order, that `crnn._training.trainer` calls, so the
parameters have the same bits.
"""
from libc.math cimport isfinite
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cimport numpy as cnp

import numpy as np

from crnn._engine.workspace import aligned

from crnn._c_api cimport crnn_rnn_call
from crnn._engine.integers cimport within
from crnn._engine.kernels cimport _operations, _threads, clip_numbers, crnn_linear, crnn_operations
from crnn._engine.losses cimport LOSS_CLASSES, loss_kind, mean_loss
from crnn._engine.outputs cimport (direction_read, put_columns, put_features, sum_apart,
                                   take_gradients)
from crnn._engine.reading cimport read_cell
from crnn._engine.updates cimport data as _data, read_rule, update, update_rule

cnp.import_array()

cdef enum Ending:
    GOOD, OF_X, OF_Y, LOSS, GRADIENT, UPDATE

ENDINGS = ("", "x", "y", "loss", "gradient", "update")


cdef class Steps:
    """The records of the calls of a step, for batches of up to m examples of one array.

    Every array has been checked and allocated by the caller; all are C-contiguous.

    cells : for each recurrence in order (inputs, a, kept, c_n, dx, gradients), as
        `recurrence.CellInputs` of a whole batch; a (T, m, n_a); what else forward fills, or None;
        dx (T, m, n_in) or None for the lowest layer; dWaa, dWax, dba and dbaa or None. The input of
        a layer is a of the one below, or an array (T, m, 2 n_a) to which both directions are copied
    between : for each of two directions an array (T, m, n_a), for the gradient between layers
    reads : for each direction its columns, and arrays or None, as `direction_read`; empty if the
        output layer reads a of the only direction itself, at every step or at the last one
    head : Wya, by, dWya, dby, logits (rows, n_y), features or None and dfeatures (rows, width)
    flat : parameters, gradients and the last good parameters, (size,)
    loss : its kind, of `losses.KINDS`, and float64 numbers: delta, or the levels of quantiles
    data : x (T, M, n_x) or symbols (T, M), y and weights or None, (M,) or (T, M); y may have an
        axis more, of numbers
    batch : arrays of the same for m examples
    every_step : whether y has an axis of steps
    """
    cdef crnn_rnn_call *forward
    cdef crnn_rnn_call *backward
    cdef crnn_linear head
    cdef direction_read reads[2]
    cdef Py_ssize_t cells, directions, T, M, m, n_x, n_y, size, item, steps_of_y, row_of_x, row_of_y
    cdef loss_kind loss
    cdef bint double_precision, every_step
    cdef const char *x
    cdef const char *y
    cdef const char *weights
    cdef char *batch_x
    cdef char *batch_y
    cdef char *batch_weights
    cdef void *parameters
    cdef void *gradients
    cdef void *last_good
    cdef void *logits
    cdef void *features
    cdef void *dfeatures
    cdef object arrays  # that the pointers point into

    def __cinit__(self, cells, between, reads, head, flat, loss, data, batch, bint every_step):
        cdef Py_ssize_t k, rows
        self.cells, self.directions = len(cells), max(len(between), 1)
        self.forward = <crnn_rnn_call *>malloc(self.cells * sizeof(crnn_rnn_call))
        self.backward = <crnn_rnn_call *>malloc(self.cells * sizeof(crnn_rnn_call))
        if self.forward == NULL or self.backward == NULL:
            raise MemoryError
        Wya, by, dWya, dby, logits, features, dfeatures = head
        self.double_precision, self.item = flat[0].dtype == np.float64, flat[0].itemsize
        for k in range(self.cells):
            inputs, a, kept, c_n, dx, gradients = cells[k]
            if read_cell(&self.forward[k], &rows, inputs) == 0 or rows != 0:
                raise RuntimeError("the arrays of a recurrence do not fit")
            self.forward[k].ba, self.forward[k].baa = _data(inputs[3]), _data(inputs[4])
            self.forward[k].a, self.forward[k].kept = _data(a), _data(kept)
            self.backward[k] = self.forward[k]
            self.forward[k].c_n = _data(c_n)
            self.backward[k].dx = _data(dx)
            self.backward[k].dWaa, self.backward[k].dWax = _data(gradients[0]), _data(gradients[1])
            self.backward[k].dba, self.backward[k].dbaa = _data(gradients[2]), _data(gradients[3])
            if between and k < self.cells - 2:
                self.backward[k].da = _data(between[k % 2])
            elif k > 0 and not between:
                self.backward[k - 1].da = _data(dx)
        self.T, self.m, self.n_x = self.forward[0].T, self.forward[0].m, self.forward[0].n_x
        self.n_y, self.size = len(by), len(flat[0])
        self.every_step = every_step
        self.loss.kind, numbers = loss
        self.loss.level, self.loss.levels = <double *>_data(numbers), len(numbers)
        self.loss.delta = numbers[0]
        self.steps_of_y = self.T if self.every_step else 1
        self.row_of_x = sizeof(Py_ssize_t) if data[0].ndim == 2 else self.n_x * self.item
        self.M = data[0].shape[1]
        self.row_of_y = data[1].nbytes // (self.M * self.steps_of_y)
        self.x, self.y, self.weights = <char *>_data(data[0]), <char *>_data(data[1]), NULL
        self.batch_x, self.batch_y = <char *>_data(batch[0]), <char *>_data(batch[1])
        if data[2] is not None:
            self.weights, self.batch_weights = <char *>_data(data[2]), <char *>_data(batch[2])
        self.parameters, self.gradients, self.last_good = (_data(flat[0]), _data(flat[1]),
                                                           _data(flat[2]))
        self.logits, self.dfeatures = _data(logits), _data(dfeatures)
        self.features = _data(features)
        for k in range(len(reads)):
            self._read(k, reads[k])
        self.head.n_in, self.head.n_out = Wya.shape[1], self.n_y
        self.head.W, self.head.b = _data(Wya), _data(by)
        self.head.dW, self.head.db = _data(dWya), _data(dby)
        self.head.y, self.head.dy, self.head.dx = self.logits, self.logits, self.dfeatures
        self.arrays = [cells, between, reads, head, flat, numbers, data, batch, self._workspace()]

    def __dealloc__(self):
        free(self.forward)
        free(self.backward)

    cdef object _read(self, Py_ssize_t k, read):
        """Set what the output layer reads of a direction."""
        cdef direction_read *of = &self.reads[k]
        cdef crnn_rnn_call *top = &self.backward[self.cells - self.directions + k]
        columns, sums, largest, at, da, da_n, dmean, dlargest = read
        of.every, of.last, of.mean, of.most = columns
        of.sums, of.largest, of.at = <double *>_data(sums), _data(largest), <int *>_data(at)
        of.da, of.da_n = _data(da), _data(da_n)
        of.dmean, of.dlargest = _data(dmean), _data(dlargest)
        top.da, top.da_n = of.da, of.da_n

    cdef object _workspace(self):
        """Give all calls one workspace, which suffices for a whole batch and for the last one."""
        cdef const crnn_operations *operations = _operations(self.double_precision)
        cdef Py_ssize_t k, largest = 0
        for m in (self.m, self.M % self.m or self.m):
            self._place(m)
            for k in range(self.cells):
                largest = max(largest, operations.rnn_workspace(&self.forward[k], 0),
                              operations.rnn_workspace(&self.backward[k], 1))
            largest = max(largest, operations.linear_workspace(&self.head))
        workspace = aligned(largest, np.dtype(np.float64 if self.double_precision else np.float32))
        for k in range(self.cells):
            self.forward[k].workspace = self.backward[k].workspace = _data(workspace)
        self.head.workspace = _data(workspace)
        return workspace

    cdef void _place(self, Py_ssize_t m) noexcept nogil:
        """Set the number of examples of a batch, and what depends on it."""
        cdef Py_ssize_t k, top = self.cells - 1, last = 0
        for k in range(self.cells):
            self.forward[k].m = self.backward[k].m = m
        self.head.rows = m * self.steps_of_y
        self.head.x = self.forward[top].a
        if self.features != NULL:
            self.head.x = self.features
        elif self.every_step:
            self.backward[top].da = self.dfeatures
        else:
            last = 0 if self.forward[top].reverse else self.T - 1
            self.head.x = <char *>self.forward[top].a + last * m * self.head.n_in * self.item
            self.backward[top].da_n = self.dfeatures

    cdef void _gather(self, const Py_ssize_t *chosen, Py_ssize_t m) noexcept nogil:
        """Copy the chosen examples to the arrays of the batch."""
        cdef Py_ssize_t t, i
        for t in range(self.T):
            for i in range(m):
                memcpy(self.batch_x + (t * m + i) * self.row_of_x,
                       self.x + (t * self.M + chosen[i]) * self.row_of_x, self.row_of_x)
        for t in range(self.steps_of_y):
            for i in range(m):
                memcpy(self.batch_y + (t * m + i) * self.row_of_y,
                       self.y + (t * self.M + chosen[i]) * self.row_of_y, self.row_of_y)
                if self.weights != NULL:
                    memcpy(self.batch_weights + (t * m + i) * self.item,
                           self.weights + (t * self.M + chosen[i]) * self.item, self.item)

    cdef double _gradient(self, double *metric) noexcept nogil:
        """Forward and backward. Returns the mean loss, and fills in the metric."""
        cdef const crnn_operations *operations = _operations(self.double_precision)
        cdef Py_ssize_t k
        cdef double loss
        for k in range(self.cells):
            operations.rnn_forward(&self.forward[k])
            if self.directions == 2 and k < self.cells - 2:
                self._put_below(k)
        if self.features != NULL:
            self._put_features()
        operations.linear_forward(&self.head)
        loss = mean_loss(operations, &self.loss, self.head.rows, self.n_y, self.batch_y,
                         self.batch_weights, self.logits, metric)
        operations.linear_backward(&self.head)
        if self.features != NULL:
            self._take_gradients()
        for k in range(self.cells - 1, -1, -1):
            operations.rnn_backward(&self.backward[k])
            if self.directions == 2 and k >= 2 and k % 2 == 0:
                self._take_from_above(k)
        return loss

    cdef void _put_below(self, Py_ssize_t k) noexcept nogil:
        """Copy the states of one of two directions to the input of the layer above."""
        cdef Py_ssize_t n = self.forward[k].n_a, rows = self.T * self.forward[k].m
        cdef char *below = <char *>self.forward[k - k % 2 + 2].x + k % 2 * n * self.item
        if self.double_precision:
            put_columns(<double *>below, 2 * n, <const double *>self.forward[k].a, rows, n)
        else:
            put_columns(<float *>below, 2 * n, <const float *>self.forward[k].a, rows, n)

    cdef void _take_from_above(self, Py_ssize_t k) noexcept nogil:
        """The gradients of both directions below the layer that begins with recurrence k."""
        cdef crnn_rnn_call *above = &self.backward[k]
        cdef Py_ssize_t n = above.n_a, rows = self.T * above.m
        if self.double_precision:
            sum_apart(<const double *>above[0].dx, <const double *>above[1].dx, rows, n,
                      <double *>self.backward[k - 2].da, <double *>self.backward[k - 1].da)
        else:
            sum_apart(<const float *>above[0].dx, <const float *>above[1].dx, rows, n,
                      <float *>self.backward[k - 2].da, <float *>self.backward[k - 1].da)

    cdef void _put_features(self) noexcept nogil:
        cdef Py_ssize_t k
        cdef crnn_rnn_call *top = &self.forward[self.cells - self.directions]
        for k in range(self.directions):
            if self.double_precision:
                put_features(&self.reads[k], &top[k], <double *>self.features, self.head.n_in)
            else:
                put_features(&self.reads[k], &top[k], <float *>self.features, self.head.n_in)

    cdef void _take_gradients(self) noexcept nogil:
        cdef Py_ssize_t k
        cdef crnn_rnn_call *top = &self.backward[self.cells - self.directions]
        for k in range(self.directions):
            if self.double_precision:
                take_gradients(&self.reads[k], &top[k], <double *>self.dfeatures, self.head.n_in)
            else:
                take_gradients(&self.reads[k], &top[k], <float *>self.dfeatures, self.head.n_in)

    cdef double _clip(self, double most) noexcept nogil:
        if self.double_precision:
            return clip_numbers(<double *>self.gradients, self.size, most)
        return clip_numbers(<float *>self.gradients, self.size, most)

    cdef void _restore(self) noexcept nogil:
        memcpy(self.parameters, self.last_good, self.size * self.item)

    cdef int _step(self, update_rule *rule, const Py_ssize_t *chosen, Py_ssize_t m, double lr,
                   double most, double *sums) noexcept nogil:
        """One step. `sums` are those of the epoch: loss, metric, norm; at an error sums[3] is set
        to the loss."""
        cdef Py_ssize_t rows = m * self.steps_of_y
        cdef double loss, metric, norm
        self._place(m)
        self._gather(chosen, m)
        if self.loss.kind == LOSS_CLASSES:
            if not within(<Py_ssize_t *>self.batch_y, rows, 0, self.n_y - 1):
                return OF_Y
        if self.forward[0].x == NULL and not within(<Py_ssize_t *>self.batch_x, self.T * m, 0,
                                                    self.n_x - 1):
            return OF_X
        loss = self._gradient(&metric)
        norm = self._clip(most)
        sums[3] = loss
        if not (isfinite(loss) and isfinite(norm)):
            self._restore()
            return GRADIENT if isfinite(loss) else LOSS
        memcpy(self.last_good, self.parameters, self.size * self.item)
        update(_operations(self.double_precision), rule, self.parameters, self.gradients, lr)
        if not _operations(self.double_precision).all_finite(self.size, self.parameters):
            self._restore()
            return UPDATE
        sums[0] += loss * rows
        sums[1] += metric * rows
        sums[2] += norm
        return GOOD

    def run(self, tuple optimizer, const Py_ssize_t[::1] order, Py_ssize_t first,
            const double[::1] rates, double most, double[::1] sums):
        """Take len(rates) steps, from batch number `first` on, and return how they ended.

        The optimizer is as `updates.read_rule` takes it. order are the examples of batches 0, 1, ...,
        m of each but the last one, which may have fewer; the gradient is clipped to `most`. Adds to sums: loss and metric times
        rows, and norms; sums[3] is the last loss.
        Returns the number of good steps, and how the next one failed: one of ENDINGS.
        The memory of the optimizer counts the good steps before it returns, since a second Ctrl-C
        may raise as soon as Python runs again.
        """
        cdef Py_ssize_t s, k, begin, count = rates.shape[0]
        cdef int ending = GOOD
        cdef int threads = _threads()
        cdef update_rule rule
        cdef dict memory = optimizer[1]
        read_rule(&rule, self.double_precision, self.size, optimizer)
        for k in range(self.cells):
            self.forward[k].threads = self.backward[k].threads = threads
        self.head.threads = threads
        with nogil:
            for s in range(count):
                begin = (first + s) * self.m
                ending = self._step(&rule, &order[begin],
                                    min(self.m, order.shape[0] - begin), rates[s], most, &sums[0])
                if ending != GOOD:
                    break
            else:
                s = count
        if s > 0:
            memory["step"] += s
            memory["lr"] = rates[s - 1]
        return s, ENDINGS[ending]
