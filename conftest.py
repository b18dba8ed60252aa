"""This repository's own lake: nothing to override, the matrix says it all."""
