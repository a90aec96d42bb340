"""One line per resource: what it says, when, and how sure; never an id, never a name of a person or organisation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from retriever_node.fhir.datatypes import (
    NOTHING,
    Resource,
    any_value,
    code,
    concept,
    dosage,
    joined,
    number,
    one_line,
    part,
    parts,
    period,
    quantity,
    span,
    string,
    strings,
)

_PARTIES: Final = ("Patient", "RelatedPerson", "Practitioner", "PractitionerRole", "Organization")
_WITHDRAWN: Final = "entered-in-error"
_VITAL: Final = {
    "vital-signs": "Vital signs",
    "laboratory": "Laboratory results",
    "social-history": "Social history",
    "survey": "Surveys",
    "imaging": "Imaging",
}


@dataclass(slots=True)
class Record:
    """What a line may draw on, other resources by reference: `index` finds those of the file, `within` is the resource
    that is being read and holds its own."""

    index: Callable[[str], Resource]
    within: Resource = field(default_factory=dict)

    def lookup(self, reference: Resource) -> Resource:
        target = string(reference.get("reference"))
        if target.startswith("#"):
            inside = parts(self.within.get("contained"))
            return next((one for one in inside if string(one.get("id")) == target[1:]), NOTHING)
        return self.index(target)

    def named(self, references: object) -> str:
        """What references point to: the codes of resources at hand, else the words beside the reference."""
        return joined(self._named(one) for one in parts(references))

    def _named(self, reference: Resource) -> str:
        found = self.lookup(reference)
        if found.get("resourceType") in _PARTIES:
            return ""
        return concept(found.get("code") or found.get("vaccineCode")) or string(reference.get("display"))


Line = Callable[[Resource, Record], str]


@dataclass(frozen=True, slots=True)
class Kind:
    """How resources of one type are read: under which heading, where their date stands, and their words."""

    heading: str
    dates: tuple[str, ...]
    line: Line


def said(resource: Resource, record: Record) -> str:
    """The line of a resource, empty for one that was withdrawn as an error or says nothing."""
    states = (code(resource.get("status")), code(resource.get("verificationStatus")))
    record.within = resource
    return "" if _WITHDRAWN in states else KINDS[string(resource.get("resourceType"))].line(resource, record)


def heading(resource: Resource) -> str:
    kind = KINDS[string(resource.get("resourceType"))]
    if resource.get("resourceType") == "Observation":
        categories = (code(one) for one in parts(resource.get("category")))
        return next((_VITAL[one] for one in categories if one in _VITAL), kind.heading)
    return kind.heading


def _line(first: str, *more: str) -> str:
    """Nothing without its first word: details of an unnamed thing are no statement."""
    return joined((first, *more)) if first else ""


def _unless(value: str, usual: str) -> str:
    return "" if value == usual else value


def _labelled(label: str, words: str) -> str:
    return f"{label}: {words}" if words else ""


def _reason(resource: Resource, record: Record) -> str:
    return _labelled(
        "for", joined((concept(resource.get("reasonCode")), record.named(resource.get("reasonReference"))))
    )


def _notes(resource: Resource) -> str:
    return one_line(joined(string(one.get("text")) for one in parts(resource.get("note"))))


def _condition(resource: Resource, _: Record) -> str:
    states = (
        code(resource.get("clinicalStatus")),
        _unless(code(resource.get("verificationStatus")), "confirmed"),
        concept(resource.get("severity")),
    )
    began = string(resource.get("onsetString")) or quantity(resource.get("onsetAge"))
    ended = any_value(resource, "abatement")
    return _line(
        concept(resource.get("code")),
        joined(states, ", "),
        _labelled("site", concept(resource.get("bodySite"))),
        _labelled("stage", concept(part(resource, "stage").get("summary"))),
        _labelled("onset", began),
        f"until {ended}" if ended else "",
        _notes(resource),
    )


def _measured(resource: Resource) -> str:
    value = one_line(any_value(resource)) or _labelled("no value", concept(resource.get("dataAbsentReason")))
    details = joined(
        (concept(resource.get("interpretation")), _labelled("reference range", _reference_range(resource))), "; "
    )
    return f"{value} ({details})" if value and details else value or details


def _reference_range(resource: Resource) -> str:
    return joined(
        (string(one.get("text")) or span(one) for one in parts(resource.get("referenceRange"))),
        ", ",
    )


def _observation(resource: Resource, _: Record) -> str:
    components = (
        f"{name} {_measured(one)}".strip()
        for one in parts(resource.get("component"))
        if (name := concept(one.get("code")))
    )
    value = joined((_measured(resource), *components), "; ")
    name = concept(resource.get("code"))
    return _line(
        f"{name}: {value}" if name and value else name,
        _labelled("site", concept(resource.get("bodySite"))),
        _unless(string(resource.get("status")), "final"),
        _notes(resource),
    )


def _medication(resource: Resource, record: Record) -> str:
    name = concept(resource.get("medicationCodeableConcept")) or record.named(resource.get("medicationReference"))
    doses = parts(resource.get("dosageInstruction")) or parts(resource.get("dosage"))
    return _line(
        f"do not give {name}" if resource.get("doNotPerform") is True and name else name,
        joined(one_line(dosage(one)) for one in doses),
        string(resource.get("status")),
        _reason(resource, record),
        _labelled("stopped because", concept(resource.get("statusReason"))),
        _labelled("taken", period(resource.get("effectivePeriod"))),
        _notes(resource),
    )


def _procedure(resource: Resource, record: Record) -> str:
    return _line(
        concept(resource.get("code")),
        _unless(string(resource.get("status")), "completed"),
        _labelled("site", concept(resource.get("bodySite"))),
        _reason(resource, record),
        _labelled("outcome", concept(resource.get("outcome"))),
        _labelled("complication", concept(resource.get("complication"))),
        _notes(resource),
    )


def _allergy(resource: Resource, _: Record) -> str:
    reactions = (
        joined((concept(one.get("manifestation")), string(one.get("severity")), concept(one.get("substance"))), ", ")
        for one in parts(resource.get("reaction"))
    )
    criticality = string(resource.get("criticality"))
    return _line(
        concept(resource.get("code")),
        joined((*strings(resource.get("category")), _unless(string(resource.get("type")), "allergy")), ", "),
        f"{criticality} criticality" if criticality else "",
        _labelled("reaction", joined(reactions)),
        code(resource.get("clinicalStatus")),
        _unless(code(resource.get("verificationStatus")), "confirmed"),
        _notes(resource),
    )


def _immunization(resource: Resource, _: Record) -> str:
    protocol = part(resource, "protocolApplied")
    return _line(
        concept(resource.get("vaccineCode")),
        _unless(string(resource.get("status")), "completed"),
        _labelled("because", concept(resource.get("statusReason"))),
        _labelled("against", concept(protocol.get("targetDisease"))),
        _labelled("dose", number(protocol.get("doseNumberPositiveInt")) or string(protocol.get("doseNumberString"))),
        _notes(resource),
    )


def _report(resource: Resource, record: Record) -> str:
    """Its results are observations with lines of their own, named here only where they are not at hand."""
    absent = [one for one in parts(resource.get("result")) if not record.lookup(one)]
    return _line(
        concept(resource.get("code")),
        _unless(string(resource.get("status")), "final"),
        _labelled("conclusion", one_line(string(resource.get("conclusion")))),
        concept(resource.get("conclusionCode")),
        _labelled("results", record.named(absent)),
    )


def _care_plan(resource: Resource, record: Record) -> str:
    activities = (
        joined((concept(detail.get("code")), one_line(string(detail.get("description")))), ", ")
        or record.named(one.get("reference"))
        for one in parts(resource.get("activity"))
        for detail in (part(one, "detail"),)
    )
    return _line(
        concept(resource.get("category")) or string(resource.get("title")) or "Care plan",
        string(resource.get("status")),
        _labelled("period", period(resource.get("period"))),
        _labelled("for", record.named(resource.get("addresses"))),
        _labelled("activities", joined(activities)),
        one_line(string(resource.get("description"))),
        _notes(resource),
    )


def _goal(resource: Resource, record: Record) -> str:
    return _line(
        concept(resource.get("description")),
        string(resource.get("lifecycleStatus")),
        concept(resource.get("achievementStatus")),
        _labelled("for", record.named(resource.get("addresses"))),
        _notes(resource),
    )


def _imaging(resource: Resource, record: Record) -> str:
    series = parts(resource.get("series"))
    seen = (joined((concept(one.get("modality")), concept(one.get("bodySite"))), ", ") for one in series)
    titles = (string(image.get("title")) for one in series for image in parts(one.get("instance")))
    return _line(
        joined(dict.fromkeys(seen)) or concept(resource.get("procedureCode")) or concept(resource.get("modality")),
        one_line(string(resource.get("description"))),
        joined(dict.fromkeys(titles)),
        _reason(resource, record),
    )


def _order(resource: Resource, record: Record) -> str:
    return _line(
        concept(resource.get("code")),
        string(resource.get("status")),
        string(resource.get("priority")),
        _reason(resource, record),
        _notes(resource),
    )


def _family(resource: Resource, _: Record) -> str:
    conditions = (
        joined(
            (concept(one.get("code")), concept(one.get("outcome")), _labelled("onset", any_value(one, "onset"))), ", "
        )
        for one in parts(resource.get("condition"))
    )
    return _line(concept(resource.get("relationship")), joined(conditions), _notes(resource))


def _impression(resource: Resource, _: Record) -> str:
    findings = (concept(one.get("itemCodeableConcept")) for one in parts(resource.get("finding")))
    return _line(joined((one_line(string(resource.get("summary"))), joined(findings))), _notes(resource))


def _encounter(resource: Resource, record: Record) -> str:
    diagnoses = joined(record.named(one.get("condition")) for one in parts(resource.get("diagnosis")))
    days = period(resource.get("period"))
    return _line(
        concept(resource.get("type")) or "Encounter",
        encounter_class(resource),
        days if " to " in days else "",
        _unless(string(resource.get("status")), "finished"),
        _reason(resource, record),
        _labelled("diagnosis", diagnoses),
        _labelled("discharged to", concept(part(resource, "hospitalization").get("dischargeDisposition"))),
    )


def encounter_class(encounter: Resource) -> str:
    coding = part(encounter, "class")
    return string(coding.get("display")) or _CLASSES.get(string(coding.get("code")), "")


_CLASSES: Final = {
    "AMB": "ambulatory",
    "EMER": "emergency",
    "FLD": "field",
    "HH": "home health",
    "IMP": "inpatient",
    "ACUTE": "inpatient acute",
    "NONAC": "inpatient non-acute",
    "OBSENC": "observation",
    "PRENC": "pre-admission",
    "SS": "short stay",
    "VR": "virtual",
}

KINDS: Final[Mapping[str, Kind]] = {
    "Encounter": Kind("Encounter", ("period",), _encounter),
    "Condition": Kind("Conditions", ("onsetDateTime", "onsetPeriod", "recordedDate"), _condition),
    "AllergyIntolerance": Kind("Allergies", ("onsetDateTime", "recordedDate"), _allergy),
    "MedicationRequest": Kind("Medications", ("authoredOn",), _medication),
    "MedicationStatement": Kind("Medications", ("effectiveDateTime", "effectivePeriod", "dateAsserted"), _medication),
    "MedicationAdministration": Kind("Medications given", ("effectiveDateTime", "effectivePeriod"), _medication),
    "MedicationDispense": Kind("Medications dispensed", ("whenHandedOver", "whenPrepared"), _medication),
    "Procedure": Kind("Procedures", ("performedDateTime", "performedPeriod"), _procedure),
    "Immunization": Kind("Immunizations", ("occurrenceDateTime", "recorded"), _immunization),
    "Observation": Kind("Observations", ("effectiveDateTime", "effectivePeriod", "issued"), _observation),
    "DiagnosticReport": Kind("Reports", ("effectiveDateTime", "effectivePeriod", "issued"), _report),
    "ImagingStudy": Kind("Imaging", ("started",), _imaging),
    "ServiceRequest": Kind("Orders", ("occurrenceDateTime", "occurrencePeriod", "authoredOn"), _order),
    "CarePlan": Kind("Care plans", ("period", "created"), _care_plan),
    "Goal": Kind("Goals", ("startDate", "statusDate"), _goal),
    "FamilyMemberHistory": Kind("Family history", ("date",), _family),
    "ClinicalImpression": Kind("Assessments", ("effectiveDateTime", "effectivePeriod", "date"), _impression),
}
"""Resource type → how it is read, in the order in which their headings stand. Other types are administrative."""

HEADINGS: Final = tuple(
    dict.fromkeys(
        heading
        for kind in KINDS.values()
        for heading in ((*_VITAL.values(), kind.heading) if kind.heading == "Observations" else (kind.heading,))
    )
)
"""All headings, in the order of a record."""
