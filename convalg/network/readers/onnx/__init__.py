"""Networks from ONNX files: the file is scanned, constants are folded, nodes become layers."""
