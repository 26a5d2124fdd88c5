"""DTR: the forms that collect what a decision still needs, and everything an EHR needs to fill them.

`routes` lists the addresses, `package` answers `$questionnaire-package`, `artefacts` holds what it packs,
`render` says a form in a version's own words, `response` lays out QuestionnaireResponses, `populate` fills a
form from a chart as a DTR client would, `validation` holds a response to its form. `form` is a Questionnaire
as all of them see it. What differs between guide versions is the table of `version`, filled in by `v2_0`.
"""
