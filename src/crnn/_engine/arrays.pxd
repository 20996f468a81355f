"""Arrays for the compiled entry points: can an argument be used without conversion? New ones.

Through NumPy's C interface an array is checked in nanoseconds; acquiring a typed memoryview of it
takes about a microsecond. A module that cimports these functions calls `import_array` first.
"""
cimport numpy as cnp


cdef inline bint fits(value, int dtype, int ndim, Py_ssize_t n0, Py_ssize_t n1, Py_ssize_t n2):
    """Whether value is a plain ndarray of this type number and this shape with ndim sizes.

    It must also be C-contiguous, aligned and of native byte order.
    """
    cdef cnp.npy_intp *shape
    if (not cnp.PyArray_CheckExact(value) or cnp.PyArray_TYPE(value) != dtype
            or cnp.PyArray_NDIM(value) != ndim or not cnp.PyArray_ISCARRAY_RO(value)):
        return False
    shape = cnp.PyArray_DIMS(value)
    return shape[0] == n0 and (ndim < 2 or shape[1] == n1) and (ndim < 3 or shape[2] == n2)


cdef inline bint fits_to_write(value, int dtype, int ndim, Py_ssize_t n0, Py_ssize_t n1,
                               Py_ssize_t n2):
    """Whether value `fits` and can be written to."""
    return fits(value, dtype, ndim, n0, n1, n2) and cnp.PyArray_ISWRITEABLE(value)


cdef inline bint apart(out, value):
    """Whether two contiguous arrays share no memory; value may be None."""
    cdef char *a = <char *>cnp.PyArray_DATA(out)
    cdef char *b
    if value is None:
        return True
    b = <char *>cnp.PyArray_DATA(value)
    return a + cnp.PyArray_NBYTES(out) <= b or b + cnp.PyArray_NBYTES(value) <= a


cdef inline bint all_apart(tuple outs, tuple inputs):
    """Whether no array of outs shares memory with another one, or with an input."""
    cdef Py_ssize_t k, j
    for k in range(len(outs)):
        if outs[k] is not None:
            for value in inputs:
                if not apart(outs[k], value):
                    return False
            for j in range(k):
                if not apart(outs[k], outs[j]):
                    return False
    return True


cdef inline object new(int dtype, int ndim, Py_ssize_t n0, Py_ssize_t n1, Py_ssize_t n2):
    """An uninitialised array of this type number, with the first ndim of the sizes."""
    cdef cnp.npy_intp[3] shape
    shape[0], shape[1], shape[2] = n0, n1, n2
    return cnp.PyArray_EMPTY(ndim, shape, dtype, 0)


cdef inline object zeros(int dtype, Py_ssize_t n):
    return cnp.PyArray_ZEROS(1, <cnp.npy_intp *>&n, dtype, 0)
