"""How a network is trained: optimisers and the loop over epochs."""
