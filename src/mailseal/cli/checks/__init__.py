"""The single checks of `mailseal check`. Each takes the configuration and yields findings; none changes anything."""
