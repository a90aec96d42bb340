"""FHIR R4 resources as lines a clinician can read. Nothing here trusts the shape of what it is given."""
