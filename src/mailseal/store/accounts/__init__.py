"""People who may use the console and the API: their accounts, an app of its own beside the libraries' tables."""
