"""Reports from what the server has kept: figures for regulators, and the guides' own metric records.

    davinci-payer report cms --year 2026                the public prior-authorization metrics (CMS-0057-F)
    davinci-payer report metrics --guide pas            one record an exchange, ndjson

A guide takes part in `metrics` with a module `server.report.GUIDE`, found by its name, that has
`records(services, start, end)`: records of the exchanges in [start, end), oldest first, in the shape of the
guide's logical model (CRDMetricData, DTRMetricData, PASMetricData).
"""
