"""What kind of structured matrix, and which kernels are separable."""
