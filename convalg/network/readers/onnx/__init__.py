"""Networks from ONNX files: the file scanned, its constants folded, its nodes made layers."""
