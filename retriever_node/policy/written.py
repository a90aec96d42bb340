"""The policy that a new node begins with: cautious, and an example of every class beside it."""

from typing import Final

CAUTIOUS: Final = """\
# What may leave this node, and to whom. The first rule that matches who asks and for what decides; where none matches,
# nothing leaves. A running node follows this file at once; while it has a mistake, nothing leaves at all.
#
#   fedrag-node policy check     every mistake, with its line
#   fedrag-node policy explain   what somebody would be given, and which rule says so
#   fedrag-node policy dry-run   what a changed file would have released last week
#
# All keys: docs/policy.md.

version = 1

# Published literature: to anyone this node answers, for any model, along with the offers where that is asked for.
[[rules]]
name = "literature"
classes = ["public"]
release = "passage"
direct = true
places = ["coordinator", "trust_domain", "outside"]

# Your own guidance: to anyone this node answers, but only to models inside the federation.
[[rules]]
name = "guidance"
classes = ["protocol"]
release = "passage"
places = ["coordinator", "trust_domain"]

# Records of patients (class patient): no rule here, so nothing leaves.
#
# --- Examples. Take out the # of one and change it; a rule that is about less has to stand before one about more.
#
# public: the sentences that bear on the question instead of whole passages, cited under your name.
#
# [[rules]]
# name = "library"
# collections = ["library"]
# release = "extract"
# cite_as = "Library of St. Example"
#
# protocol: one ward's guidance, only to clinicians whom a trusted organisation vouches for, 200 passages a day each.
#
# [[rules]]
# name = "ward-guidance"
# collections = ["ward"]
# identified = true
# roles = ["clinician"]
# purposes = ["treatment", "operations"]
# release = "passage"
# models = ["local-model"]
# quota = { per_asker_per_day = 200 }
#
# patient: to a clinician who treats, redacted, at most 2 % of the collection in thirty days; to researchers of one
# project what somebody of yours approved; to other researchers counts of at least 20 patients.
#
# [[rules]]
# name = "treatment"
# classes = ["patient"]
# identified = true
# roles = ["clinician"]
# purposes = ["treatment"]
# release = "redacted"
# cite_as = "Records of St. Example"
# quota = { per_asker_per_day = 20, share_per_30_days = 0.02 }
#
# [[rules]]
# name = "reviewed-study"
# classes = ["patient"]
# identified = true
# purposes = ["research"]
# projects = ["stroke-2026"]
# release = "redacted"
# review = true
# quota = { per_project_per_day = 10 }
#
# [[rules]]
# name = "counting"
# classes = ["patient"]
# identified = true
# purposes = ["research"]
# release = "count"
# floor = 20
"""
