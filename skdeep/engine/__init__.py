"""The compiled loops: the only folder that imports numba.

Arrays and scalars come in, arrays are written; nothing is checked and nothing is known of
scikit-learn. A kernel or the shape of a network is data here, never a type.
"""
