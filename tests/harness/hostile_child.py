"""`mailseal.extract.child` with a reader that documents can take over (`hostile_reader`)."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[2] / "src")]

    import hostile_reader

    from mailseal.extract import child

    hostile_reader.take_over()
    child.main(sys.argv[1:])
