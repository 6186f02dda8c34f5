"""The tables of the library's app `socialaccount`."""
