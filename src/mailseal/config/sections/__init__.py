"""The tables of mailseal.toml, a module each."""
