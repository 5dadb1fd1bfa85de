"""Extensions, by their aliases: those of the API as a whole here, those of resources in their files."""

from __future__ import annotations

GENERAL = {
    "empty-string-filtering": "Empty String Filtering Extension",
    "filter-validation": "Filter parameters validation",
    "ip-substring-filtering": "IP address substring filtering",
    "pagination": "Pagination support",
    "project-id": "project_id field enabled",
    "revision-if-match": "If-Match constraints based on revision_number",
    "service-type": "Neutron Service Type Management",
    "sort-key-validation": "Sort keys validation",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
    "tag-creation": "Tag creation extension",
}
"""The extensions that apply to every resource: name by alias."""
