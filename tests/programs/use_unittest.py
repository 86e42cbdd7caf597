"""The standard library's unittest as a workload: it calls our tests by name."""

import io
import unittest


class Case(unittest.TestCase):
    def setUp(self):
        self.items = [1, 2]
        self.addCleanup(self.items.clear)

    def test_passes(self):
        self.assertEqual(self.items, [1, 2])

    def test_fails(self):
        self.assertIn(3, self.items)

    def test_errors(self):
        raise KeyError("k")

    @unittest.skip("on purpose")
    def test_skipped(self):
        raise AssertionError

    def test_raises(self):
        with self.assertRaises(ZeroDivisionError):
            1 / 0

    def test_parts(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertNotEqual(n, 1)


def main():
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Case)
    result = unittest.TextTestRunner(io.StringIO(), verbosity=0).run(suite)
    return result.testsRun, len(result.failures), len(result.errors)
