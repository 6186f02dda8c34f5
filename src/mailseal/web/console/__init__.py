"""The pages for administrators, a module for each: what they show comes from the store's plain functions."""
