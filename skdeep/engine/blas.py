"""BLAS and LAPACK in place on blocks of a matrix, each call bounded by the block and free of the interpreter's lock.

SciPy's Python wrappers copy a block of a larger matrix and keep the interpreter's lock; its C
interface, reached here by address, does neither. Matrices are row-major and may be views with any
distance between rows; a triangle is the lower one, L.
"""

import ctypes
import functools

import numpy as np
from numba.extending import get_cython_function_address

_POINTERS = {"gemm": 13, "potrf": 5, "potri": 5, "syrk": 10, "trsm": 11}  # how many a routine takes


@functools.cache
def _routine(name, char):
    module = "scipy.linalg.cython_lapack" if name in ("potrf", "potri") else "scipy.linalg.cython_blas"
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * _POINTERS[name])
    return prototype(get_cython_function_address(module, {"f": "s", "d": "d"}[char] + name))


def _call(name, dtype, *arguments):
    """Call the routine with pointers, as Fortran does; a matrix is followed by the distance between its rows."""
    real = ctypes.c_float if dtype == np.float32 else ctypes.c_double
    pointers = []
    for argument in arguments:
        if isinstance(argument, str):
            pointers += [ctypes.byref(ctypes.c_char(letter.encode())) for letter in argument]
        elif isinstance(argument, int):
            pointers.append(ctypes.byref(ctypes.c_int(argument)))
        elif isinstance(argument, float):
            pointers.append(ctypes.byref(real(argument)))
        elif isinstance(argument, np.ndarray):
            # Where there is one row NumPy's stride may be anything.
            distance = argument.strides[0] // argument.itemsize if len(argument) > 1 else argument.shape[1]
            pointers += [argument.ctypes.data, ctypes.byref(ctypes.c_int(max(distance, 1)))]
        else:
            pointers.append(ctypes.byref(argument))
    _routine(name, dtype.char)(*pointers)


def subtract_product(A, B, out, *, transposed=True):
    """out -= A B^T, or A B where not `transposed`."""
    # Fortran reads each matrix as its transpose, and out^T -= B A^T is what it is asked for.
    letters = "TN" if transposed else "NN"
    _call("gemm", out.dtype, letters, out.shape[1], out.shape[0], A.shape[1], -1.0, B, A, 1.0, out)


def subtract_square(A, out):
    """The lower triangle of out -= A A^T."""
    _call("syrk", out.dtype, "UT", out.shape[0], A.shape[1], -1.0, A, 1.0, out)


def factor(A):
    """A = L L^T, L written over the lower triangle; whether A is positive definite."""
    info = ctypes.c_int()
    _call("potrf", A.dtype, "U", len(A), A, info)
    return info.value == 0


def invert(L):
    """The lower triangle of (L L^T)^-1, written over that of L."""
    _call("potri", L.dtype, "U", len(L), L, ctypes.c_int())


def solve_rows(L, out, *, transposed=True):
    """Each row r of `out` becomes the x of L x = r, or of L^T x = r where not `transposed`: out L^-T or out L^-1."""
    _call("trsm", out.dtype, "LUTN" if transposed else "LUNN", out.shape[1], out.shape[0], 1.0, L, out)
