"""A job of any API is a job of every other: each shows it, and lists it where it
has a list.
"""

import unittest

import tarpon
from every_api import KINDS, native
from tarpon import OURS, THEIRS


class CrossReading(unittest.TestCase):
    def test_every_api_shows_and_lists_what_any_other_submitted(self):
        speakers = [kind(OURS) for kind in KINDS]
        strangers = [kind(THEIRS) for kind in KINDS]
        for number, writer in enumerate(speakers):
            own = writer.submit(f"cross-{number}")
            tarpon.until(f"{own} is over", lambda: writer.is_over(own) or None)
            view = OURS.job(native(own))
            self.assertEqual(view["state"], "succeeded", view)
            self.assertEqual(writer.named(view["id"]), own)
            for reader, stranger in zip(speakers, strangers):
                with self.subTest(writer=type(writer).__name__, reader=type(reader).__name__):
                    self.assertEqual(reader.shown(view), reader.OVER[0])
                    self.assertFalse(stranger.sees(view["id"]))
                    if hasattr(reader, "listed"):
                        self.assertTrue(reader.lists(view), view)
