"""What the compile target offers: the width and the number of its vector registers.

Asked of LLVM for the processor that numba compiles for (NUMBA_CPU_NAME and NUMBA_CPU_FEATURES, or
else the host), so that a narrower machine can be tried on a wider one.
"""

import llvmlite.binding as llvm
import numpy as np
from numba.core import codegen, config

CPU_NAME = config.CPU_NAME or llvm.get_host_cpu_name()
CPU_FEATURES = codegen.get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES

_PROBE = """
define void @add(ptr %a) {
  %x = load <16 x float>, ptr %a
  %y = fadd <16 x float> %x, %x
  store <16 x float> %y, ptr %a
  ret void
}
"""


def _vector_bits():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(cpu=CPU_NAME, features=CPU_FEATURES)
    assembly = machine.emit_assembly(llvm.parse_assembly(_PROBE))
    return 512 if "zmm" in assembly else 256 if "ymm" in assembly else 128


VECTOR_BITS = _vector_bits()
# AVX-512 and NEON have 32 vector registers, SSE and AVX 16.
VECTOR_REGISTERS = 32 if VECTOR_BITS == 512 or not llvm.get_default_triple().startswith("x86") else 16


def lanes(dtype):
    """Numbers of a NumPy dtype in one vector."""
    return VECTOR_BITS // (8 * dtype.itemsize)


# Bytes of a cache line.
LINE = 64


def aligned_zeros(size, dtype):
    """Zeros that begin with a cache line, so that no whole vector lies across two."""
    dtype = np.dtype(dtype)
    numbers = np.zeros(size + LINE // dtype.itemsize, dtype)
    start = -numbers.ctypes.data % LINE // dtype.itemsize
    return numbers[start : start + size]
