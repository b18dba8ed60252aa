"""One module per daemon. A new storage technology is one file here and one word in the matrix."""
