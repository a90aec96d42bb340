"""Methods that stand in tables only for comparison; none of them is a plug-in of the product."""
