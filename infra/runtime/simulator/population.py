"""Who lives where: how many records each endpoint holds, and which records the path variables name.

A *partition* is what one request addresses: the values of the endpoint's path variables. Its number is made
from the numbers of the parent records that these values name, so children of different parents never share ids.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from contracts.blueprint import JsonPath
from contracts.simulation import Endpoint, PathBinding, SimulatedApi, Source
from infra.runtime.simulator.mould import STRIDE, Mould, index_of, number_of
from infra.runtime.simulator.plan import Plan, Size
from infra.runtime.simulator.values import at_path

_NUMBERS = 2**61
_VARIABLE = re.compile(r"\{([^{}]+)\}")


def variables_of(path: str) -> tuple[str, ...]:
    """The variables of a path template, in order."""
    return tuple(_VARIABLE.findall(path))


@dataclass(frozen=True)
class Partition:
    """``values`` in the order of the path's variables; ``number`` is 0 for an endpoint without any."""

    values: tuple[str, ...]
    number: int


class Population:
    """All records of one run. Nothing is kept but page sizes and, of parents that were asked for, the index from
    identifying value to record."""

    def __init__(self, api: SimulatedApi, plan: Plan) -> None:
        self._api = api
        self._plan = plan
        self._moulds: dict[str, Mould] = {}
        self._sizes: dict[str, int] = {}
        self._asked: dict[str, dict[str, None]] = {}
        self._asked_here: dict[str, dict[tuple[tuple[str, str], ...], None]] = {}
        self._tables: dict[tuple[str, JsonPath, int], dict[str, int]] = {}

    def endpoint(self, key: str) -> Endpoint:
        return self._api.endpoints[key]

    def mould(self, key: str) -> Mould:
        if key not in self._moulds:
            self._moulds[key] = Mould(self.endpoint(key), self._plan.seed)
        return self._moulds[key]

    # --- counts ---------------------------------------------------------------------------------

    def page_size(self, key: str) -> int:
        """The page size that this run's first request settled, or the default."""
        return self._sizes.get(key) or self.default_size(key)

    def default_size(self, key: str) -> int:
        endpoint = self.endpoint(key)
        usual = 1 if endpoint.ground("size").stated else self._plan.usual_page_size
        return min(max(endpoint.size.default, usual), self.largest_size(key))

    def largest_size(self, key: str) -> int:
        size = self.endpoint(key).size
        return self._plan.page_size or max(size.maximum or 1_000_000, 1)

    def settle(self, key: str, page_size: int) -> None:
        """The first request decides what `Size` is relative to."""
        if key not in self._sizes:
            self._sizes[key] = page_size
            self._tables.clear()

    def count(self, key: str, partition: int) -> int:
        """How many records a partition holds. A tuple is dealt in the order of the parents' records."""
        if self.endpoint(key).records.shape == "single":
            return 1
        planned = self._plan.count(key)
        if isinstance(planned, tuple):
            planned = planned[max(partition - 1, 0) % STRIDE % len(planned)]
        return planned.of(self.page_size(key)) if isinstance(planned, Size) else planned

    # --- partitions -----------------------------------------------------------------------------

    def locate(self, key: str, variables: Mapping[str, str]) -> Partition | None:
        """The partition that a request's path names; ``None`` if no record has such a value."""
        endpoint = self.endpoint(key)
        implied = self._implied(endpoint, {})
        number = 0
        for variable in self._free(endpoint):
            if self._plan.variables.get(variable, variables[variable]) != variables[variable]:
                return None
            self._asked.setdefault(variable, {})[variables[variable]] = None
            self._asked_here.setdefault(key, {})[tuple(sorted(variables.items()))] = None
            number = (number * STRIDE + zlib.crc32(variables[variable].encode())) % _NUMBERS
        for binding in self._bindings(endpoint):
            parent = self._named(binding, variables)
            if parent is None:
                return None
            if binding.variable not in implied:
                number = (number * STRIDE + parent + 1) % _NUMBERS
        return Partition(tuple(variables[v] for v in variables_of(endpoint.path)), number)

    def partitions(
        self, key: str, via: Mapping[str, str], given: Mapping[str, str] = MappingProxyType({})
    ) -> Iterator[Partition]:
        """All partitions of an endpoint, or those whose variables have the values ``given``, in the order of its
        parents' records."""
        for variables in self._combinations(key, via, given):
            found = self.locate(key, variables)
            if found is not None:
                yield found

    def _combinations(self, key: str, via: Mapping[str, str], given: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Values for all of the path's variables: those ``given``, else what the parents' records offer."""
        endpoint = self.endpoint(key)
        implied = self._implied(endpoint, via)
        known: list[dict[str, str]] = [dict(given)]
        for binding in self._bindings(endpoint):
            source = _source(binding, via)
            brought = {binding.variable, *source.shared.values(), *source.also}
            if binding.variable not in implied and not brought <= given.keys():
                offered = list(self._offered(source, binding.variable, via, given))
                known = [{**k, **o} for k in known for o in offered if _agree(k, o)]
        for values in known:
            yield from self._completed(endpoint, values)

    def _completed(self, endpoint: Endpoint, given: dict[str, str]) -> Iterator[dict[str, str]]:
        """``given`` with values for the free variables: those that were asked for beside it, else any known."""
        free = [variable for variable in self._free(endpoint) if variable not in given]
        asked = [dict(values) for values in self._asked_here.get(endpoint.key, ())] if free else []
        beside = [values for values in asked if given.items() <= values.items()]
        if beside:
            yield from beside
            return
        known = [given]
        for variable in free:
            known = [{variable: value, **k} for k in known for value in self._values(variable)]
        yield from known

    def _offered(
        self, source: Source, variable: str, via: Mapping[str, str], given: Mapping[str, str]
    ) -> Iterator[dict[str, str]]:
        """What the records of ``source`` give to a child's path: their own values and those shared with it, of
        which some are ``given``."""
        known = {theirs: given[mine] for theirs, mine in source.shared.items() if mine in given}
        for partition in self.partitions(source.endpoint, via, known):
            shared = self._shared(source, partition)
            for value, number in self._table(source, partition).items():
                yield {**shared, **self._also(source, partition, number), variable: value}

    def _also(self, source: Source, partition: Partition, number: int) -> dict[str, str]:
        """What else one record of ``source`` gives."""
        if not source.also:
            return {}
        variables = dict(zip(variables_of(self.endpoint(source.endpoint).path), partition.values, strict=True))
        index = index_of(partition.number, number)
        record = self.mould(source.endpoint).record(index, partition.number, variables)
        return {variable: str(at_path(record, path)) for variable, path in source.also.items()}

    def _shared(self, source: Source, partition: Partition) -> dict[str, str]:
        own = zip(variables_of(self.endpoint(source.endpoint).path), partition.values, strict=True)
        return {source.shared[name]: value for name, value in own if name in source.shared}

    def _table(self, source: Source, partition: Partition) -> dict[str, int]:
        """Identifying value -> number, of the records of one partition of a parent."""
        place = (source.endpoint, source.field, partition.number)
        if place not in self._tables:
            variables = dict(zip(variables_of(self.endpoint(source.endpoint).path), partition.values, strict=True))
            mould = self.mould(source.endpoint)
            table: dict[str, int] = {}
            for index in range(self.count(source.endpoint, partition.number)):
                value = at_path(mould.record(index, partition.number, variables), source.field)
                if isinstance(value, str | int) and not isinstance(value, bool):
                    table[str(value)] = number_of(partition.number, index)
            self._tables[place] = table
        return self._tables[place]

    def _named(self, binding: PathBinding, variables: Mapping[str, str]) -> int | None:
        """The number of the parent record that a variable's value names."""
        for source in binding.sources:
            for partition in self._parents(source, variables):
                number = self._table(source, partition).get(variables[binding.variable])
                if number is not None and self._also(source, partition, number).items() <= variables.items():
                    return number
        return None

    def _parents(self, source: Source, variables: Mapping[str, str]) -> Iterator[Partition]:
        """The partitions of a parent that agree with the variables it shares: one, if it shares them all."""
        names = variables_of(self.endpoint(source.endpoint).path)
        known = {name: variables[source.shared[name]] for name in names if name in source.shared}
        if len(known) < len(names):
            yield from self.partitions(source.endpoint, {}, known)
        elif (found := self.locate(source.endpoint, known)) is not None:
            yield found

    def place_of(self, key: str, field: JsonPath, partition: Partition, value: str) -> int | None:
        """The index of the record whose ``field`` has this value; ``None`` if there is none."""
        number = self._table(Source(endpoint=key, field=field), partition).get(value)
        return None if number is None else index_of(partition.number, number)

    def _bindings(self, endpoint: Endpoint) -> list[PathBinding]:
        """Those that hold in this run: a planned variable needs no parent."""
        return [binding for binding in endpoint.bindings if binding.variable not in self._plan.variables]

    def _implied(self, endpoint: Endpoint, via: Mapping[str, str]) -> set[str]:
        """Variables whose value the source of another variable brings along."""
        sources = [_source(binding, via) for binding in self._bindings(endpoint)]
        return {mine for source in sources for mine in (*source.shared.values(), *source.also)}

    def _free(self, endpoint: Endpoint) -> list[str]:
        bound = {binding.variable for binding in self._bindings(endpoint)}
        return [variable for variable in variables_of(endpoint.path) if variable not in bound]

    def _values(self, variable: str) -> list[str]:
        """The values of a free variable: the planned one, or all that were asked for."""
        planned = self._plan.variables.get(variable)
        return [planned] if planned is not None else list(self._asked.get(variable, ()))


def _agree(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether no variable has two values."""
    return all(one.get(name, value) == value for name, value in other.items())


def _source(binding: PathBinding, via: Mapping[str, str]) -> Source:
    chosen = via.get(binding.variable)
    return next((source for source in binding.sources if source.endpoint == chosen), binding.sources[0])
