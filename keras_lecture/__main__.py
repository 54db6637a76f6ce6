"""`python -m keras_lecture`."""

import sys

from keras_lecture._command_line import main

if __name__ == "__main__":
    sys.exit(main())
