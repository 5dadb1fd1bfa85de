"""What resources declare, collected; and addresses of several parts."""

from __future__ import annotations

import httpx
import orjson
import pytest

from ovenbird.api.access.auth import Open
from ovenbird.api.databases import Databases
from ovenbird.api.http.app import Api
from ovenbird.api.http.catalogue import EXTENSIONS, RULES
from ovenbird.api.http.endpoints import Endpoint
from ovenbird.api.http.extensions import GENERAL
from ovenbird.api.resources import READ_ONLY, RESOURCES


class Policies(Endpoint):
    async def list(self, call):
        return orjson.dumps({"policies": []})

    async def show(self, call, uuid):
        return orjson.dumps({"policy": uuid})


class Limits(Endpoint):
    async def list(self, call):
        return orjson.dumps({"limits": [call.parent]})

    async def update(self, call, uuid):
        return orjson.dumps({"limit": [call.parent, uuid, await call.body()]})


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.member)
def test_columns_that_attributes_name_are_there(resource):
    columns = [attribute.column for attribute in resource.attributes.values() if attribute.column]
    assert columns
    assert set(columns) <= set(resource.row_class.BY_NAME)
    if resource.parent is not None:
        assert resource.parent.column in resource.row_class.BY_NAME


def test_each_extension_and_each_rule_is_declared_once():
    kinds = (*RESOURCES, *READ_ONLY)
    aliases = [*GENERAL, *(alias for kind in kinds for alias in kind.extensions)]
    rules = [name for kind in kinds for name in kind.rules]
    assert len(set(aliases)) == len(aliases)
    assert len(set(rules)) == len(rules)
    assert set(aliases) <= set(EXTENSIONS)
    assert set(rules) <= set(RULES)


async def test_an_address_may_have_several_parts_and_be_within_another(neutron):
    api = Api(Databases(neutron.cloud), Open(), None)
    api.catalogue.endpoints["qos/policies"] = Policies()
    api.catalogue.nested["qos/policies", "limits"] = Limits()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api.application()), base_url="http://api/v2.0/") as http:
        assert (await http.get("qos/policies")).json() == {"policies": []}
        assert (await http.get("qos/policies/1")).json() == {"policy": "1"}
        assert (await http.get("qos/policies/1/limits")).json() == {"limits": ["1"]}
        assert (await http.put("qos/policies/1/limits/2", json={"a": 3})).json() == {"limit": ["1", "2", {"a": 3}]}
        answers = [await http.request(method, "qos/policies/1/limits/2") for method in ("GET", "POST", "DELETE")]
        assert [answer.status_code for answer in answers] == [405] * 3
        assert (await http.get("qos/policies/1/2/3")).status_code == 404
        assert (await http.get("qos/limits")).status_code == 404
