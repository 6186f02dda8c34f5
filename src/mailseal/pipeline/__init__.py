"""The order of things: what happens to each recipient's copy of a mail. `process` is the one way in."""

from mailseal.pipeline.process import Processed, process, process_mail

__all__ = ["Processed", "process", "process_mail"]
