"""The tables of the library's app `usersessions`."""
