# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The choice of kernels, and the entry to those of the output layer, the loss and the update.

Every function takes arrays that the caller has validated and allocated, and writes its results into
them. The only errors are a MemoryError for a workspace and the ValueError of `cross_entropy`. The
entry to the recurrence itself is sequence.pyx.
"""
from libc.math cimport INFINITY, sqrt
from libc.stdint cimport uint64_t, uintptr_t
from libc.string cimport memcmp

cimport numpy as cnp

from crnn._engine.workspace import give_back, take

from crnn._engine.blas cimport real
from crnn._engine.integers cimport within
from crnn._c_api cimport (CRNN_FLOAT32, CRNN_FLOAT64, CRNN_GRU, CRNN_LEAKY, CRNN_LSTM, CRNN_RELU,
                          CRNN_TANH, CRNN_VANILLA, crnn_c_api)
from crnn._engine.kernels cimport (crnn_find_kernels, crnn_kernels, crnn_linear,
                                   crnn_operations, crnn_stepper, crnn_stepper_weights)
from crnn._engine.over_blas cimport kernels_over_blas

cnp.import_array()

cdef extern from "engine.h" nogil:
    ctypedef int (*thread_count "int (*)(void)")() noexcept

    const crnn_c_api crnn_functions
    const crnn_operations *crnn_operations_for(int dtype)
    void crnn_use_kernels(const crnn_kernels *kernels)
    void crnn_use_thread_count(thread_count count)
    int crnn_most_threads()

cdef extern from "crnn_stepper.h" nogil:
    int crnn_stepper_create(const crnn_stepper_weights *weights, Py_ssize_t m,
                            crnn_stepper **stepper)
    void crnn_stepper_destroy(crnn_stepper *stepper)
    int crnn_stepper_reset_row(crnn_stepper *stepper, Py_ssize_t row)


cdef const crnn_kernels *_find(name):
    """The table of that name; for None, the best for this CPU, or else BLAS."""
    cdef bytes wanted
    cdef const crnn_kernels *best = crnn_find_kernels(NULL)
    if name == "blas" or (name is None and best.name == b"portable"):
        return kernels_over_blas(best)
    if name is None:
        return best
    wanted = name.encode()
    return crnn_find_kernels(wanted)


def select(name=None):
    """Use the kernels called `name`, or the best for this CPU, and return their name.

    Raises ValueError, and changes nothing, if there are none that this CPU can run.
    """
    cdef const crnn_kernels *found = _find(name)
    if found == NULL:
        raise ValueError(
            f"expected 'blas', 'portable' or, if the processor has it, 'neon', 'avx2' or "
            f"'avx512', got {name!r}"
        )
    crnn_use_kernels(found)
    return found.name.decode()


def limit_threads(uintptr_t address):
    """Set the C function, ``int (void)``, that tells each call how many threads it may use."""
    crnn_use_thread_count(<thread_count>address)


cdef int cell_number(cell) except -1:
    """The number that the C kernels have for the cell of a rule."""
    return (CRNN_VANILLA if cell == "vanilla" else CRNN_LEAKY if cell == "leaky" else
            CRNN_GRU if cell == "gru" else CRNN_LSTM)


cdef int _threads() noexcept nogil:
    return crnn_most_threads()


cdef const crnn_operations *_operations(bint double_precision) noexcept nogil:
    return crnn_operations_for(CRNN_FLOAT64 if double_precision else CRNN_FLOAT32)


cdef const crnn_c_api *functions_of_c() noexcept:
    """The table of include/crnn.h."""
    return &crnn_functions


# The functions of crnn_stepper.h, which are compiled into this module, for stream.pyx.
cdef int stepper_create(const crnn_stepper_weights *weights, Py_ssize_t m,
                        crnn_stepper **stepper) noexcept:
    return crnn_stepper_create(weights, m, stepper)


cdef void stepper_destroy(crnn_stepper *stepper) noexcept:
    crnn_stepper_destroy(stepper)


cdef int stepper_reset_row(crnn_stepper *stepper, Py_ssize_t row) noexcept:
    return crnn_stepper_reset_row(stepper, row)


cdef _linear_workspace(crnn_linear *call, bint double_precision):
    """Take a workspace for the call. The caller gives it back afterwards."""
    cdef Py_ssize_t size = _operations(double_precision).linear_workspace(call)
    workspace = take(size * (8 if double_precision else 4))
    cdef unsigned char[::1] view = workspace
    call.workspace = &view[0]
    return workspace


def tanh(real[::1] z):
    """Replace z by tanh(z), as the kernels compute it."""
    with nogil:
        _operations(real is double).activate(CRNN_TANH, 1, z.shape[0], &z[0])


def activate(bint relu, real[::1] z):
    """Replace z by tanh(z) or relu(z)."""
    with nogil:
        _operations(real is double).activate(CRNN_RELU if relu else CRNN_TANH, 1, z.shape[0], &z[0])


def activate_backward(bint relu, const real[::1] a, real[::1] da):
    """Replace da by da f'(z), for a = f(z) of `activate`."""
    with nogil:
        _operations(real is double).activate_backward(CRNN_RELU if relu else CRNN_TANH, 1,
                                                      a.shape[0], &a[0], &da[0])


def output_forward(const real[:, ::1] Wya, const real[::1] by, const real[:, ::1] a,
                   real[:, ::1] logits):
    """Fill logits (rows, n_y) = a (rows, n) Wya' + by."""
    cdef crnn_linear call
    call.rows, call.n_in, call.n_out = a.shape[0], a.shape[1], Wya.shape[0]
    call.x, call.W, call.b, call.y = &a[0, 0], &Wya[0, 0], &by[0], &logits[0, 0]
    workspace = _linear_workspace(&call, real is double)
    with nogil:
        call.threads = _threads()
        _operations(real is double).linear_forward(&call)
    give_back(workspace)


def output_backward(const real[:, ::1] Wya, const real[:, ::1] dlogits, const real[:, ::1] a,
                    real[:, ::1] dWya, real[::1] dby, real[:, ::1] da):
    """Fill dWya = sum dlogits a', dby = sum dlogits and da (rows, n) = dlogits Wya.

    da may be None.
    """
    cdef crnn_linear call
    call.rows, call.n_in, call.n_out = a.shape[0], a.shape[1], Wya.shape[0]
    call.x, call.W, call.dy = &a[0, 0], &Wya[0, 0], &dlogits[0, 0]
    call.dW, call.db = &dWya[0, 0], &dby[0]
    call.dx = <real *>NULL if da is None else &da[0, 0]
    workspace = _linear_workspace(&call, real is double)
    with nogil:
        call.threads = _threads()
        _operations(real is double).linear_backward(&call)
    give_back(workspace)


def dropout(const real[:, :, ::1] x, real[:, :, ::1] out, double rate, uint64_t seed,
            Py_ssize_t t0, const Py_ssize_t[::1] ends):
    """Fill out (T, m, n) with x over 1 - rate, and with 0 for a share `rate` of its numbers.

    Both may be the same array. Which numbers depends on the seed, the step, the example and the
    unit: step s is t0 + s, or with ends (m), which may be None, ends - 1 - s.
    """
    cdef const Py_ssize_t *end = <const Py_ssize_t *>NULL if ends is None else &ends[0]
    with nogil:
        _operations(real is double).dropout(x.shape[0], x.shape[1], x.shape[2], t0, end, seed, rate,
                                            &x[0, 0, 0], &out[0, 0, 0])


def softmax(real[:, ::1] logits):
    """Replace logits (rows, n_y) by y_hat."""
    with nogil:
        _operations(real is double).softmax(logits.shape[0], logits.shape[1], &logits[0, 0])


def sum_rows(const real[:, ::1] dy, real[::1] db):
    """Fill db (n) = the sum over rows of dy (rows, n), added up in double."""
    with nogil:
        _operations(real is double).sum_rows(dy.shape[0], dy.shape[1], &dy[0, 0], &db[0])


def cross_entropy(real[:, ::1] logits, const Py_ssize_t[::1] y, const real[::1] weights=None):
    """The mean of -w log y_hat_y, and the mean over rows of w if the row is right, else 0.

    The logits are replaced by the gradient. Raises ValueError if a class is not in 0..n_y - 1: y
    may be the caller's own array, and a callback may have written to it since it was validated.
    """
    cdef Py_ssize_t rows = logits.shape[0], n_y = logits.shape[1]
    cdef const real *w = <const real *>NULL if weights is None else &weights[0]
    cdef double loss, right
    if not within(&y[0], rows, 0, n_y - 1):
        raise ValueError(f"y: expected classes in 0..{n_y - 1}; they have changed since checked")
    with nogil:
        loss = _operations(real is double).cross_entropy(rows, n_y, &y[0], w, &logits[0, 0], &right)
    return loss / rows, right / rows


def clip(real[::1] gradients, double most):
    """The norm of the gradients, summed in double. If it exceeds `most`, scale them down to that.

    If it is not finite, they are left as they are.
    """
    cdef double norm
    with nogil:
        norm = clip_numbers(&gradients[0], gradients.shape[0], most)
    return norm


cdef double clip_numbers(real *gradients, Py_ssize_t size, double most) noexcept nogil:
    """`clip` of an array (size,)."""
    cdef Py_ssize_t k
    cdef real factor
    cdef double norm = sqrt(_operations(real is double).sum_squares(size, gradients))
    if most < norm < INFINITY:
        factor = <real>(most / norm)
        for k in range(size):
            gradients[k] *= factor
    return norm


def same_bits(a, b):
    """Whether two contiguous arrays have the same dtype, size and bytes."""
    cdef cnp.ndarray first = a, second = b
    cdef size_t size = cnp.PyArray_NBYTES(first)
    cdef const void *left = cnp.PyArray_DATA(first)
    cdef const void *right = cnp.PyArray_DATA(second)
    cdef bint same
    if cnp.PyArray_TYPE(first) != cnp.PyArray_TYPE(second):
        return False
    if size != <size_t>cnp.PyArray_NBYTES(second):
        return False
    with nogil:
        same = memcmp(left, right, size) == 0
    return same


def all_finite(const real[::1] numbers):
    """Whether no number is infinite or NaN."""
    cdef bint finite
    with nogil:
        finite = _operations(real is double).all_finite(numbers.shape[0], &numbers[0])
    return finite


def count_beyond(const real[:, :, :] values, double low, double high):
    """How many of the values (T, m, n) are at most `low`, and how many at least `high`.

    The last axis is contiguous. NaN counts as neither.
    """
    cdef Py_ssize_t t, T = values.shape[0], m = values.shape[1], n = values.shape[2]
    cdef Py_ssize_t stride = values.strides[1] // <Py_ssize_t>sizeof(real)
    cdef Py_ssize_t[2] counts = [0, 0]
    assert n < 2 or values.strides[2] == sizeof(real)
    if values.strides[0] == m * values.strides[1]:  # as one step with more rows
        T, m = 1, T * m
    with nogil:
        for t in range(T):
            _operations(real is double).count_beyond(m, n, stride, &values[t, 0, 0], low, high,
                                                     counts)
    return counts[0], counts[1]


def penalise(const real[:, :, ::1] rates, double l2, double l1, const double[::1] shares,
             real[:, :, ::1] drates, double[::1] sums, bint rising):
    """Add to sums (m) the l2 r^2 + l1 |r| of rates (T, m, n), and to drates their gradient.

    The gradient is multiplied by the examples' shares (m). The steps are summed one after the
    other, in rising or in falling order.
    """
    cdef Py_ssize_t k, t, T = rates.shape[0], m = rates.shape[1], n = rates.shape[2]
    with nogil:
        for k in range(T):
            t = k if rising else T - 1 - k
            _operations(real is double).penalise(m, n, &rates[t, 0, 0], l2, l1, &shares[0],
                                                 &drates[t, 0, 0], &sums[0])


def scale(real[::1] numbers, const Py_ssize_t[:, ::1] spans, double factor):
    """Multiply the numbers of every span (first, end) by a factor."""
    with nogil:
        scale_spans(&numbers[0], &spans[0, 0], spans.shape[0], factor)


cdef void scale_spans(real *numbers, const Py_ssize_t *spans, Py_ssize_t count,
                      double factor) noexcept nogil:
    """`scale` with spans (count, 2)."""
    cdef Py_ssize_t i, k
    cdef real by = <real>factor
    for i in range(count):
        for k in range(spans[2 * i], spans[2 * i + 1]):
            numbers[k] *= by


def sgd(real[::1] parameters, const real[::1] gradients, real[::1] velocity, double lr,
        double momentum):
    """One update by gradient descent; velocity may be None."""
    cdef real *v = <real *>NULL if velocity is None else &velocity[0]
    with nogil:
        _operations(real is double).sgd(parameters.shape[0], &parameters[0], &gradients[0], v, lr,
                                        momentum)


def adam(real[::1] parameters, const real[::1] gradients, real[::1] mean, real[::1] square,
         double beta1, double beta2, double rate, double root, double eps):
    """One update by Adam; mean and square are its moments."""
    with nogil:
        _operations(real is double).adam(parameters.shape[0], &parameters[0], &gradients[0],
                                         &mean[0], &square[0], beta1, beta2, rate, root, eps)


def rmsprop(real[::1] parameters, const real[::1] gradients, real[::1] square, real[::1] velocity,
            double lr, double decay, double eps, double momentum):
    """One update by RMSprop; square is the mean of squares, and velocity may be None."""
    cdef real *u = <real *>NULL if velocity is None else &velocity[0]
    with nogil:
        _operations(real is double).rmsprop(parameters.shape[0], &parameters[0], &gradients[0],
                                            &square[0], u, lr, decay, eps, momentum)
