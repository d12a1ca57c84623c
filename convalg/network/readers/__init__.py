"""Networks from files and modules of others: ONNX and PyTorch."""
