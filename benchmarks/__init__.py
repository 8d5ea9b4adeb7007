"""One question a file; each writes its answer, and the machine it was measured on, to ``results``."""
