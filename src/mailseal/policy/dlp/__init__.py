"""Data leak prevention: patterns and what they find. Pure; knows no mail, only texts."""
