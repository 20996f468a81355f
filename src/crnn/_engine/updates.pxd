"""Clipping and the optimizers' updates for compiled steps, as crnn._training.optim does them."""
from libc.math cimport INFINITY, isfinite, pow, sqrt

cimport numpy as cnp

from crnn._engine.blas cimport real
from crnn._engine.kernels cimport clip_numbers, crnn_operations, scale_spans

cdef enum RuleKind:
    SGD, ADAM, RMSPROP


cdef struct update_rule:
    int kind
    bint double_precision
    Py_ssize_t size, step  # numbers, and updates done
    void *first  # velocity or None, first moment, or None
    void *second  # second moment, or mean of squares
    const Py_ssize_t *weights  # the spans that decay
    Py_ssize_t spans
    double momentum, beta1, beta2, eps, decay, weight_decay


cdef inline void *data(a):
    return NULL if a is None else cnp.PyArray_DATA(a)


cdef inline void read_rule(update_rule *rule, bint double_precision, Py_ssize_t size, optimizer):
    """Fill in an optimizer: its kind ("SGD", "Adam" or "RMSprop"), its memory, the arrays `first`
    and `second` of it, and momentum, beta1, beta2, eps, decay, weight_decay.
    """
    kind, memory, first, second, numbers = optimizer
    weights = memory["weights"]
    rule.kind = SGD if kind == "SGD" else ADAM if kind == "Adam" else RMSPROP
    rule.double_precision, rule.size = double_precision, size
    rule.step, rule.first, rule.second = memory["step"], data(first), data(second)
    rule.weights = <Py_ssize_t *>data(weights)
    rule.spans = 0 if weights is None else len(weights)
    rule.momentum, rule.beta1, rule.beta2, rule.eps = numbers[:4]
    rule.decay, rule.weight_decay = numbers[4:]


cdef inline void update(const crnn_operations *operations, update_rule *rule, void *parameters,
                        const void *gradients, double lr) noexcept nogil:
    """One update at the rate lr."""
    cdef double t, kept = 1 - lr * rule.weight_decay
    rule.step += 1
    t = <double>rule.step
    if rule.weight_decay != 0 and rule.double_precision:
        scale_spans(<double *>parameters, rule.weights, rule.spans, kept)
    elif rule.weight_decay != 0:
        scale_spans(<float *>parameters, rule.weights, rule.spans, kept)
    if rule.kind == SGD:
        operations.sgd(rule.size, parameters, gradients, rule.first, lr, rule.momentum)
    elif rule.kind == ADAM:
        operations.adam(rule.size, parameters, gradients, rule.first, rule.second, rule.beta1,
                        rule.beta2, lr / (1 - pow(rule.beta1, t)),
                        1 / sqrt(1 - pow(rule.beta2, t)), rule.eps)
    else:
        operations.rmsprop(rule.size, parameters, gradients, rule.second, rule.first, lr,
                           rule.decay, rule.eps, rule.momentum)


cdef inline double clip(bint double_precision, void *gradients, Py_ssize_t size, double most,
                        double limit) noexcept nogil:
    """Clip to ``-limit..limit``, then the norm to `most`. Returns the norm before both."""
    if double_precision:
        return _clip(<double *>gradients, size, most, limit)
    return _clip(<float *>gradients, size, most, limit)


cdef inline double _clip(real *gradients, Py_ssize_t size, double most,
                         double limit) noexcept nogil:
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
