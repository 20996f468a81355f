# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Steps of training one after the other, without Python between them.

A small network's step takes as long as a few dozen calls from Python. `Steps` runs many: it gathers
a batch, goes forward and backward through layers that read in one direction, clips the gradient and
updates the parameters. These are the kernels, in the order, that `crnn._training.trainer` calls,
so the parameters have the same bits.
"""
from libc.math cimport isfinite, pow, sqrt
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cimport numpy as cnp

import numpy as np

from crnn._engine.workspace import aligned

from crnn._c_api cimport crnn_rnn_call
from crnn._engine.integers cimport within
from crnn._engine.kernels cimport (_operations, _threads, clip_numbers, crnn_linear,
                                   crnn_operations, scale_spans)
from crnn._engine.reading cimport read_cell

cnp.import_array()

cdef enum Ending:
    GOOD, OF_X, OF_Y, LOSS, GRADIENT, UPDATE

ENDINGS = ("", "x", "y", "loss", "gradient", "update")

cdef enum RuleKind:
    SGD, ADAM, RMSPROP


cdef inline void *_data(a):
    return NULL if a is None else cnp.PyArray_DATA(a)


cdef class Steps:
    """The records of the calls of a step, for batches of up to m examples of one array.

    Every array has been checked and allocated by the caller; all are C-contiguous.

    layers : for each layer from the bottom (inputs, a, kept, c_n, dx, gradients), as
        `recurrence.CellInputs` of a whole batch; a (T, m, n_a); what else forward fills, or None;
        dx (T, m, n_in) or None for the lowest layer; dWaa, dWax, dba and dbaa or None
    head : Wya, by, dWya, dby, logits (rows, n_y), dfeatures (rows, n_a)
    flat : parameters, gradients and the last good parameters, (size,)
    data : x (T, M, n_x) or symbols (T, M), y and weights or None, (M,) or (T, M)
    batch : arrays of the same for m examples
    """
    cdef crnn_rnn_call *forward
    cdef crnn_rnn_call *backward
    cdef crnn_linear head
    cdef Py_ssize_t layers, T, M, m, n_x, n_y, size, item, steps_of_y, row_of_x
    cdef bint double_precision, every_step
    cdef const char *x
    cdef const Py_ssize_t *y
    cdef const char *weights
    cdef char *batch_x
    cdef Py_ssize_t *batch_y
    cdef char *batch_weights
    cdef void *parameters
    cdef void *gradients
    cdef void *last_good
    cdef void *logits
    cdef void *dfeatures
    cdef object arrays  # that the pointers point into

    def __cinit__(self, layers, head, flat, data, batch):
        cdef Py_ssize_t k, rows
        self.layers = len(layers)
        self.forward = <crnn_rnn_call *>malloc(self.layers * sizeof(crnn_rnn_call))
        self.backward = <crnn_rnn_call *>malloc(self.layers * sizeof(crnn_rnn_call))
        if self.forward == NULL or self.backward == NULL:
            raise MemoryError
        Wya, by, dWya, dby, logits, dfeatures = head
        self.double_precision, self.item = flat[0].dtype == np.float64, flat[0].itemsize
        for k in range(self.layers):
            inputs, a, kept, c_n, dx, gradients = layers[k]
            if read_cell(&self.forward[k], &rows, inputs) == 0 or rows != 0:
                raise RuntimeError("the arrays of a layer do not fit")
            self.forward[k].ba, self.forward[k].baa = _data(inputs[3]), _data(inputs[4])
            self.forward[k].a, self.forward[k].kept = _data(a), _data(kept)
            self.backward[k] = self.forward[k]
            self.forward[k].c_n = _data(c_n)
            self.backward[k].dx = _data(dx)
            self.backward[k].dWaa, self.backward[k].dWax = _data(gradients[0]), _data(gradients[1])
            self.backward[k].dba, self.backward[k].dbaa = _data(gradients[2]), _data(gradients[3])
            if k > 0:
                self.backward[k - 1].da = _data(dx)
        self.T, self.m, self.n_x = self.forward[0].T, self.forward[0].m, self.forward[0].n_x
        self.n_y, self.size = len(by), len(flat[0])
        self.every_step = data[1].ndim == 2
        self.steps_of_y = self.T if self.every_step else 1
        self.row_of_x = sizeof(Py_ssize_t) if data[0].ndim == 2 else self.n_x * self.item
        self.M = data[0].shape[1]
        self.x, self.y, self.weights = <char *>_data(data[0]), <Py_ssize_t *>_data(data[1]), NULL
        self.batch_x, self.batch_y = <char *>_data(batch[0]), <Py_ssize_t *>_data(batch[1])
        if data[2] is not None:
            self.weights, self.batch_weights = <char *>_data(data[2]), <char *>_data(batch[2])
        self.parameters, self.gradients, self.last_good = (_data(flat[0]), _data(flat[1]),
                                                           _data(flat[2]))
        self.logits, self.dfeatures = _data(logits), _data(dfeatures)
        self.head.n_in, self.head.n_out = self.forward[0].n_a, self.n_y
        self.head.W, self.head.b = _data(Wya), _data(by)
        self.head.dW, self.head.db = _data(dWya), _data(dby)
        self.head.y, self.head.dy, self.head.dx = self.logits, self.logits, self.dfeatures
        self.arrays = [layers, head, flat, data, batch, self._workspace()]

    def __dealloc__(self):
        free(self.forward)
        free(self.backward)

    cdef object _workspace(self):
        """Give all calls one workspace, which suffices for a whole batch and for the last one."""
        cdef const crnn_operations *operations = _operations(self.double_precision)
        cdef Py_ssize_t k, largest = 0
        for m in (self.m, self.M % self.m or self.m):
            self._place(m)
            for k in range(self.layers):
                largest = max(largest, operations.rnn_workspace(&self.forward[k], 0),
                              operations.rnn_workspace(&self.backward[k], 1))
            largest = max(largest, operations.linear_workspace(&self.head))
        workspace = aligned(largest, np.dtype(np.float64 if self.double_precision else np.float32))
        for k in range(self.layers):
            self.forward[k].workspace = self.backward[k].workspace = _data(workspace)
        self.head.workspace = _data(workspace)
        return workspace

    cdef void _place(self, Py_ssize_t m) noexcept nogil:
        """Set the number of examples of a batch, and what depends on it."""
        cdef Py_ssize_t k, top = self.layers - 1, last = 0
        for k in range(self.layers):
            self.forward[k].m = self.backward[k].m = m
        self.head.rows = m * self.steps_of_y
        self.head.x = self.forward[top].a
        if self.every_step:
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
                self.batch_y[t * m + i] = self.y[t * self.M + chosen[i]]
                if self.weights != NULL:
                    memcpy(self.batch_weights + (t * m + i) * self.item,
                           self.weights + (t * self.M + chosen[i]) * self.item, self.item)

    cdef double _gradient(self, Py_ssize_t m, double *right) noexcept nogil:
        """Forward and backward. Returns the mean loss, and fills `right` with the metric."""
        cdef const crnn_operations *operations = _operations(self.double_precision)
        cdef Py_ssize_t k, rows = self.head.rows
        cdef double loss
        for k in range(self.layers):
            operations.rnn_forward(&self.forward[k])
        operations.linear_forward(&self.head)
        loss = operations.cross_entropy(rows, self.n_y, self.batch_y, self.batch_weights,
                                        self.logits, right) / rows
        right[0] /= rows
        operations.linear_backward(&self.head)
        for k in range(self.layers - 1, -1, -1):
            operations.rnn_backward(&self.backward[k])
        return loss

    cdef double _clip(self, double most) noexcept nogil:
        if self.double_precision:
            return clip_numbers(<double *>self.gradients, self.size, most)
        return clip_numbers(<float *>self.gradients, self.size, most)

    cdef void _restore(self) noexcept nogil:
        memcpy(self.parameters, self.last_good, self.size * self.item)

    cdef int _step(self, Rule rule, const Py_ssize_t *chosen, Py_ssize_t m, double lr, double most,
                   double *sums) noexcept nogil:
        """One step. `sums` are those of the epoch: loss, metric, norm; at an error sums[3] is set
        to the loss."""
        cdef Py_ssize_t rows = m * self.steps_of_y
        cdef double loss, metric, norm
        self._place(m)
        self._gather(chosen, m)
        if not within(self.batch_y, rows, 0, self.n_y - 1):
            return OF_Y
        if self.forward[0].x == NULL and not within(<Py_ssize_t *>self.batch_x, self.T * m, 0,
                                                    self.n_x - 1):
            return OF_X
        loss = self._gradient(m, &metric)
        norm = self._clip(most)
        sums[3] = loss
        if not (isfinite(loss) and isfinite(norm)):
            self._restore()
            return GRADIENT if isfinite(loss) else LOSS
        memcpy(self.last_good, self.parameters, self.size * self.item)
        rule.update(self, lr)
        if not _operations(self.double_precision).all_finite(self.size, self.parameters):
            self._restore()
            return UPDATE
        sums[0] += loss * rows
        sums[1] += metric * rows
        sums[2] += norm
        return GOOD

    def run(self, Rule rule, const Py_ssize_t[::1] order, Py_ssize_t first,
            const double[::1] rates, double most, double[::1] sums):
        """Take len(rates) steps, from batch number `first` on, and return how they ended.

        order (M,) are the examples of the epoch, m of each batch; the gradient is clipped to
        `most`. Adds to sums: loss and metric times rows, and norms; sums[3] is the last loss.
        Returns the number of good steps, and how the next one failed: one of ENDINGS.
        The memory of the optimizer counts the good steps before it returns, since a second Ctrl-C
        may raise as soon as Python runs again.
        """
        cdef Py_ssize_t s, k, begin, count = rates.shape[0]
        cdef int ending = GOOD
        cdef int threads = _threads()
        for k in range(self.layers):
            self.forward[k].threads = self.backward[k].threads = threads
        self.head.threads = threads
        with nogil:
            for s in range(count):
                begin = (first + s) * self.m
                ending = self._step(rule, &order[begin], min(self.m, self.M - begin), rates[s],
                                    most, &sums[0])
                if ending != GOOD:
                    break
            else:
                s = count
        if s > 0:
            rule.memory["step"] += s
            rule.memory["lr"] = rates[s - 1]
        return s, ENDINGS[ending]


cdef class Rule:
    """An optimizer: its memory, the arrays in it, and its numbers.

    kind : "SGD", "Adam" or "RMSprop"
    memory : the steps that it has done ("step"), and the learning rate of the last one ("lr")
    first : velocity or None, first moment, or None; second : second moment, or mean of squares
    numbers : momentum, beta1, beta2, eps, decay, weight_decay
    """
    cdef int kind
    cdef void *first
    cdef void *second
    cdef const Py_ssize_t *weights
    cdef Py_ssize_t spans, step
    cdef double momentum, beta1, beta2, eps, decay, weight_decay
    cdef dict memory
    cdef object arrays

    def __cinit__(self, str kind, dict memory, first, second, numbers):
        weights = memory["weights"]  # the spans that decay, or None
        self.kind = SGD if kind == "SGD" else ADAM if kind == "Adam" else RMSPROP
        self.step, self.first, self.second = memory["step"], _data(first), _data(second)
        self.weights = <Py_ssize_t *>_data(weights)
        self.spans = 0 if weights is None else len(weights)
        (self.momentum, self.beta1, self.beta2, self.eps, self.decay,
         self.weight_decay) = numbers
        self.memory, self.arrays = memory, (first, second, weights)

    cdef void update(self, Steps of, double lr) noexcept nogil:
        """One update at the rate lr, as the rules in crnn._training.optim do."""
        cdef const crnn_operations *operations = _operations(of.double_precision)
        cdef double t
        self.step += 1
        t = <double>self.step
        if self.weight_decay != 0:
            if of.double_precision:
                scale_spans(<double *>of.parameters, self.weights, self.spans,
                            1 - lr * self.weight_decay)
            else:
                scale_spans(<float *>of.parameters, self.weights, self.spans,
                            1 - lr * self.weight_decay)
        if self.kind == SGD:
            operations.sgd(of.size, of.parameters, of.gradients, self.first, lr, self.momentum)
        elif self.kind == ADAM:
            operations.adam(of.size, of.parameters, of.gradients, self.first, self.second,
                            self.beta1, self.beta2, lr / (1 - pow(self.beta1, t)),
                            1 / sqrt(1 - pow(self.beta2, t)), self.eps)
        else:
            operations.rmsprop(of.size, of.parameters, of.gradients, self.second, self.first, lr,
                               self.decay, self.eps, self.momentum)
