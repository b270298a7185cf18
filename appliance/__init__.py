"""Hauspost: mail comes in by many doors, passes one desk, is written once, read from many windows.

The floors, lowest first; an import goes to a lower floor only (tests/test_floors.py):

    0  mail  errors  config  database  (and the package index)
    1  wire | store | household
    2  search                      what a person may find: a query over index and catalog
    3  fetch | smtp | imap | transfer      the doors: every socket, every thread
    4  web (a package beside this one) | schedule | follow
    5  supervisor | demo           processes kept running; a sample household
    6  service                     what each process puts together
    7  cli  (8 __main__)           one command; nobody imports it
"""

__version__ = "0.1.0"
