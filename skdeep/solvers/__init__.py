"""Solvers of linear systems (K + alpha I) C = Y; they know no estimator and no kernel."""
