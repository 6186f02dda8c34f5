"""On PYTHONPATH of a gateway: processes of its sandbox read as `hostile_reader` does; all else of it is as it is."""

import sys

if "mailseal.extract.child" in sys.orig_argv:
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent.parent))
    import hostile_reader

    hostile_reader.take_over()
