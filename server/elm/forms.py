"""Every expression form and operator, registered: importing this makes the compiler complete."""

import server.elm.lists
import server.elm.logic
import server.elm.operators.aggregate
import server.elm.operators.arithmetic
import server.elm.operators.bounds
import server.elm.operators.clinical
import server.elm.operators.comparison
import server.elm.operators.conversion
import server.elm.operators.datetime
import server.elm.operators.interval
import server.elm.operators.lists
import server.elm.operators.logical
import server.elm.operators.nullological
import server.elm.operators.string
import server.elm.paths
import server.elm.query
import server.elm.references
import server.elm.retrieve
import server.elm.selectors
import server.elm.sorting
import server.elm.typetests
import server.elm.typing_forms  # noqa: F401 - imported to register
