"""Fitting the small heads of the extractive reasoner."""
