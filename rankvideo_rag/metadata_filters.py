"""Translate LlamaIndex metadata filters to SQL. Keys and operators come from fixed lists, values are bound as parameters."""

from typing import Any

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from rankvideo_rag.errors import InputError
from rankvideo_rag.storage.store import SqlCondition

# Metadata key -> column of the view clip_facts.
_COLUMNS = {
    "video_id": "video_id",
    "title": "title",
    "file_path": "file_path",
    "start": "start",
    "end": '"end"',
    "duration": "duration",
}
_OPERATORS = {
    FilterOperator.EQ: "=",
    FilterOperator.NE: "<>",
    FilterOperator.GT: ">",
    FilterOperator.GTE: ">=",
    FilterOperator.LT: "<",
    FilterOperator.LTE: "<=",
}
_SETS = {FilterOperator.IN: "IN", FilterOperator.NIN: "NOT IN"}
_TEXTS = {FilterOperator.TEXT_MATCH: "instr({0}, ?)", FilterOperator.TEXT_MATCH_INSENSITIVE: "instr(lower({0}), lower(?))"}


def sql_condition(filters: MetadataFilters) -> SqlCondition:
    """Return the SQL condition of filters. Raises InputError for an unknown key or an unsupported operator."""
    parts = [sql_condition(part) if isinstance(part, MetadataFilters) else _one(part) for part in filters.filters]
    if not parts:
        return SqlCondition("TRUE", ())
    parameters = tuple(value for part in parts for value in part.parameters)
    if filters.condition == FilterCondition.NOT:
        return SqlCondition(f"NOT ({' OR '.join(part.sql for part in parts)})", parameters)
    joint = " OR " if filters.condition == FilterCondition.OR else " AND "
    return SqlCondition(f"({joint.join(part.sql for part in parts)})", parameters)


def _one(part: MetadataFilter) -> SqlCondition:
    if part.key not in _COLUMNS:
        raise InputError(f"clips cannot be filtered by {part.key!r}: their metadata are {', '.join(_COLUMNS)}")
    column, value = _COLUMNS[part.key], part.value
    if part.operator in _OPERATORS:
        return SqlCondition(f"{column} {_OPERATORS[part.operator]} ?", (value,))
    if part.operator in _SETS:
        values = _listed(value)
        return SqlCondition(f"{column} {_SETS[part.operator]} ({', '.join('?' * len(values))})", values)
    if part.operator in _TEXTS:
        return SqlCondition(_TEXTS[part.operator].format(column), (value,))
    usable = ", ".join(operator.value for operator in (*_OPERATORS, *_SETS, *_TEXTS))
    raise InputError(f"clips cannot be filtered with the operator {part.operator.value!r}: use one of {usable}")


def _listed(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise InputError(f"the filter operators 'in' and 'nin' need a list, not {value!r}")
    return tuple(value)
