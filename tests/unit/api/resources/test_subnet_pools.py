"""Subnet pools over HTTP, subnets allocated from them, and which of the free blocks is cut."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ovenbird.api.subnet_allocation import aligned, gaps, is_free, smallest_free
from ovenbird.model.cloud import Subnet, SubnetPool


async def take(neutron, pool, **values):
    network = await neutron.network()
    return (await neutron.create("subnet", network_id=network["id"], subnetpool_id=pool["id"], **values))["cidr"]


async def untaken(neutron, status, kind, pool, **values):
    network = await neutron.network()
    values = {"network_id": network["id"], "subnetpool_id": pool["id"]} | values
    return await neutron.refused(status, kind, "POST", "subnets", {"subnet": values})


async def test_subnets_are_cut_from_the_smallest_block_that_is_free(neutron):
    pool = await neutron.create(
        "subnetpool", name="p", prefixes=["10.1.0.0/22", "10.3.0.0/20"], default_prefixlen=24, min_prefixlen=20
    )
    assert (pool["ip_version"], pool["min_prefixlen"], pool["max_prefixlen"]) == (4, "20", "32")
    assert [await take(neutron, pool) for _ in range(2)] == ["10.1.0.0/24", "10.1.1.0/24"]
    assert await take(neutron, pool, prefixlen=20) == "10.3.0.0/20"
    assert await take(neutron, pool, cidr="10.1.3.128/25") == "10.1.3.128/25"
    assert await take(neutron, pool, prefixlen=26) == "10.1.3.0/26"
    assert await take(neutron, pool, gateway_ip="10.1.2.129", prefixlen=25) == "10.1.2.128/25"
    message = await untaken(neutron, 409, "SubnetAllocationError", pool)
    assert "Insufficient prefix space to allocate subnet size /24" in message
    for cidr in ("10.1.0.0/24", "10.1.0.0/23", "10.9.0.0/24"):
        await untaken(neutron, 409, "SubnetAllocationError", pool, cidr=cidr)
    subnets = await neutron.list(f"subnets?subnetpool_id={pool['id']}")
    assert len(subnets) == 6
    await neutron.refused(400, "SubnetPoolDeleteError", "DELETE", f"subnetpools/{pool['id']}")
    for subnet in subnets:
        await neutron.ask("DELETE", f"subnets/{subnet['id']}")
    assert await take(neutron, pool) == "10.1.0.0/24"


async def test_concurrent_allocations_get_different_blocks(neutron):
    pool = await neutron.create("subnetpool", name="p", prefixes=["10.0.0.0/16"], default_prefixlen=24)
    other = await neutron.network()

    def faster():  # as another process does that has seen the same
        transaction = neutron.cloud.transaction()
        row = neutron.cloud.store.table(SubnetPool).get(pool["id"])
        transaction.wait(row, {"revision_number": row.revision_number})
        transaction.update(row, {"revision_number": row.revision_number + 1})
        taken = {"network": other["id"], "subnet_pool": row.uuid, "cidr": "10.0.0.0/24", "project_id": "red"}
        transaction.insert(Subnet, taken)
        transaction.commit()

    network = await neutron.network()
    neutron.cloud.interfere.append(faster)
    subnet = await neutron.create("subnet", network_id=network["id"], subnetpool_id=pool["id"])
    assert subnet["cidr"] == "10.0.1.0/24"
    body = {"subnets": [{"network_id": network["id"], "subnetpool_id": pool["id"]} for _ in range(3)]}
    status, made = await neutron.ask("POST", "subnets", body)
    assert status == 201
    assert [subnet["cidr"] for subnet in made["subnets"]] == ["10.0.2.0/24", "10.0.3.0/24", "10.0.4.0/24"]


async def test_a_quota_counts_what_each_project_has(neutron):
    pool = await neutron.create(
        "subnetpool", name="p", prefixes=["10.0.0.0/8"], default_quota=512, default_prefixlen=24, shared=True
    )
    for project in ("red", "blue"):
        network = await neutron.network(project_id=project)
        asked = {"network_id": network["id"], "subnetpool_id": pool["id"], "project_id": project}
        await neutron.create("subnet", **asked)
        await neutron.refused(409, "SubnetPoolQuotaExceeded", "POST", "subnets", {"subnet": asked | {"prefixlen": 23}})
        await neutron.create("subnet", **asked)
        await neutron.refused(409, "SubnetPoolQuotaExceeded", "POST", "subnets", {"subnet": asked | {"prefixlen": 30}})
    six = await neutron.create("subnetpool", name="p6", prefixes=["fd00::/48"], default_quota=1)
    assert await take(neutron, six, prefixlen=65, ip_version=6) == "fd00::/65"
    assert await take(neutron, six, prefixlen=65, ip_version=6) == "fd00::8000:0:0:0/65"
    await untaken(neutron, 409, "SubnetPoolQuotaExceeded", six, prefixlen=120, ip_version=6)


async def test_one_pool_of_each_ip_version_is_the_default(neutron):
    network = await neutron.network()
    asked = {"network_id": network["id"], "use_default_subnetpool": True}
    message = await neutron.refused(400, "BadRequest", "POST", "subnets", {"subnet": asked | {"ip_version": 4}})
    assert "No default subnetpool found for IPv4" in message
    four = await neutron.create("subnetpool", name="4", prefixes=["10.0.0.0/8"], default_prefixlen=24, is_default=True)
    six = await neutron.create("subnetpool", name="6", prefixes=["fd00::/48"], is_default=True)
    another = {"subnetpool": {"name": "5", "prefixes": ["11.0.0.0/8"], "is_default": True}}
    await neutron.refused(400, "InvalidInput", "POST", "subnetpools", another)
    for version, pool, gateway in ((4, four, "10.0.0.1"), (6, six, "fd00::1")):
        subnet = await neutron.create("subnet", **asked, ip_version=version)
        assert (subnet["subnetpool_id"], subnet["gateway_ip"]) == (pool["id"], gateway)
        status, body = await neutron.ask("PUT", f"subnetpools/{pool['id']}", {"subnetpool": {"is_default": False}})
        assert (status, body["subnetpool"]["is_default"]) == (200, False)
        await neutron.refused(400, "BadRequest", "POST", "subnets", {"subnet": asked | {"ip_version": version}})
    await neutron.create("subnetpool", **another["subnetpool"])
    assert [pool["name"] for pool in await neutron.list("subnetpools?is_default=True")] == ["5"]


async def test_subnets_of_a_network_are_from_one_pool(neutron):
    pools = [
        await neutron.create("subnetpool", name=n, prefixes=[f"10.{n}.0.0/16"], default_prefixlen=24)
        for n in ("1", "2")
    ]
    network = await neutron.network()
    await neutron.create("subnet", network_id=network["id"], subnetpool_id=pools[0]["id"])
    for values in ({"subnetpool_id": pools[1]["id"]}, {"cidr": "192.168.0.0/24"}):
        body = {"subnet": {"network_id": network["id"], "ip_version": 4} | values}
        await neutron.refused(400, "NetworkSubnetPoolAffinityError", "POST", "subnets", body)
    await neutron.create("subnet", network_id=network["id"], ip_version=6, cidr="fd00::/64")


async def test_prefixes_come_and_go(neutron):
    pool = await neutron.create("subnetpool", name="p", prefixes=["10.0.1.0/24", "10.0.0.0/24"], default_prefixlen=26)
    assert pool["prefixes"] == ["10.0.0.0/23"]
    path = f"subnetpools/{pool['id']}"
    await take(neutron, pool)
    body = {"prefixes": ["10.0.2.0/23"]}
    assert await neutron.ask("PUT", f"{path}/add_prefixes", body) == (200, {"prefixes": ["10.0.0.0/22"]})
    body = {"prefixes": ["10.0.0.128/25", "10.9.0.0/16", "fd00::/64"]}
    left = ["10.0.0.0/25", "10.0.1.0/24", "10.0.2.0/23"]
    assert await neutron.ask("PUT", f"{path}/remove_prefixes", body) == (200, {"prefixes": left})
    for prefixes in (["10.0.0.0/28"], ["10.0.0.0/8"]):
        body = {"prefixes": prefixes}
        await neutron.refused(400, "IllegalSubnetPoolPrefixUpdate", "PUT", f"{path}/remove_prefixes", body)
    for prefixes in ([], None, "10.0.0.0/8", [5], ["10.0.0.0"], ["fe80::1%eth0/64"], ["10.0.0.0/33"]):
        await neutron.refused(400, "HTTPBadRequest", "PUT", f"{path}/add_prefixes", {"prefixes": prefixes})
    await neutron.refused(400, "PrefixVersionMismatch", "PUT", f"{path}/add_prefixes", {"prefixes": ["fd00::/64"]})
    body = {"subnetpool": {"prefixes": ["10.0.0.0/24"]}}
    await neutron.refused(400, "IllegalSubnetPoolPrefixUpdate", "PUT", path, body)
    many = {"prefixes": [f"10.1.{n}.0/32" for n in range(1, 256)]}
    await neutron.ask("PUT", f"{path}/add_prefixes", {"prefixes": ["11.0.0.0/8"]})
    assert (await neutron.ask("PUT", f"{path}/add_prefixes", many))[0] == 200
    removed = {"prefixes": [f"11.{n}.7.1/32" for n in range(256)]}
    await neutron.refused(400, "HTTPBadRequest", "PUT", f"{path}/remove_prefixes", removed)


async def test_subnets_that_are_there_are_onboarded(neutron):
    pool = await neutron.create("subnetpool", name="p", prefixes=["10.0.0.0/24"], default_prefixlen=26)
    network = await neutron.network()
    subnet = await neutron.subnet(network, cidr="10.5.0.0/24")
    await neutron.subnet(network, cidr="fd00::/64", ip_version=6)
    path = f"subnetpools/{pool['id']}/onboard_network_subnets"
    body = {"network_id": network["id"]}
    assert await neutron.ask("PUT", path, body) == (200, [{"id": subnet["id"], "cidr": "10.5.0.0/24"}])
    assert (await neutron.list(f"subnetpools/{pool['id']}"))["prefixes"] == ["10.0.0.0/24", "10.5.0.0/24"]
    assert [one["id"] for one in await neutron.list(f"subnets?subnetpool_id={pool['id']}")] == [subnet["id"]]
    await neutron.refused(400, "IllegalSubnetPoolUpdate", "PUT", path, body)
    for wanted, kind, status in ((None, "InvalidInput", 400), (5, "InvalidInput", 400), ("x", "NetworkNotFound", 404)):
        await neutron.refused(status, kind, "PUT", path, {"network_id": wanted})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"prefixes": []}, "EmptySubnetPoolPrefixList"),
        ({"prefixes": ["10.0.0.0/8", "fd00::/48"]}, "PrefixVersionMismatch"),
        ({"min_prefixlen": 25, "max_prefixlen": 24}, "IllegalSubnetPoolPrefixBounds"),
        ({"max_prefixlen": 33}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_prefixlen": 7}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_prefixlen": 10**9}, "IllegalSubnetPoolPrefixBounds"),
        ({"default_quota": 10**10}, "HTTPBadRequest"),
        ({"name": " "}, "HTTPBadRequest"),
        ({"address_scope_id": "0" * 32}, "HTTPBadRequest"),
    ],
)
async def test_invalid_subnet_pools_are_refused(neutron, values, kind):
    body = {"subnetpool": {"name": "p", "prefixes": ["10.0.0.0/8"]} | values}
    await neutron.refused(400, kind, "POST", "subnetpools", body)
    assert await neutron.list("subnetpools") == []


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"prefixlen": 33}, "MaxPrefixSubnetAllocationError"),
        ({"prefixlen": 10**9}, "MaxPrefixSubnetAllocationError"),
        ({"gateway_ip": "10.0.0.1", "prefixlen": 10**9}, "MaxPrefixSubnetAllocationError"),
        ({"prefixlen": 7}, "MinPrefixSubnetAllocationError"),
        ({"cidr": "10.0.0.0/24", "prefixlen": 24}, "BadRequest"),
        ({"ip_version": 6}, "BadRequest"),
        ({"cidr": "fd00::/64"}, "InvalidInput"),
        ({"gateway_ip": "fd00::1"}, "InvalidInput"),
        ({"use_default_subnetpool": True}, "BadRequest"),
        ({"allocation_pools": [{"start": "10.0.0.2", "end": "10.0.0.9"}]}, "BadRequest"),
        ({"subnetpool_id": "prefix_delegation"}, "HTTPBadRequest"),
    ],
)
async def test_impossible_allocations_from_a_pool_are_refused(neutron, values, kind):
    pool = await neutron.create("subnetpool", name="p", prefixes=["10.0.0.0/8"], default_prefixlen=24)
    await untaken(neutron, 400, kind, pool, **values)
    assert await neutron.list("subnets") == []


# -- which block is cut -----------------------------------------------------------------------------------------------

BLOCKS = st.sampled_from([(start, start + (1 << n) - 1) for n in range(6) for start in range(0, 64, 1 << n)])


def disjoint(blocks):
    kept = []
    for first, last in sorted(blocks):
        if not kept or kept[-1][1] < first:
            kept.append((first, last))
    return kept


def compact(blocks):
    """Join blocks that are the two halves of a larger one, as a pool's prefixes are when they are stored."""
    kept = []
    for block in disjoint(blocks):
        kept.append(block)
        while len(kept) > 1:
            (first, middle), (_, last) = kept[-2:]
            size = last - first + 1
            if middle + 1 != kept[-1][0] or 2 * (middle - first + 1) != size or first % size:
                break
            kept[-2:] = [(first, last)]
    return kept


@example([(24, 27), (28, 31)], [], 3)
@given(st.lists(BLOCKS), st.lists(BLOCKS), st.integers(0, 6))
def test_the_block_cut_is_the_first_of_the_smallest_that_are_large_enough(prefixes, taken, n):
    prefixes, size = compact(prefixes), 1 << n
    taken = [block for block in disjoint(taken) if any(a <= block[0] and block[1] <= b for a, b in prefixes)]
    free = {at for first, last in prefixes for at in range(first, last + 1)}
    free -= {at for first, last in taken for at in range(first, last + 1)}
    assert {at for low, high in gaps(prefixes, taken) for at in range(low, high + 1)} == free

    def whole(start, length):
        return set(range(start, start + length)) <= free

    largest = [
        (length, start)
        for length in (1, 2, 4, 8, 16, 32, 64)
        for start in range(0, 64, length)
        if whole(start, length)
        and not any(low <= start - start % (2 * length) and start - start % (2 * length) + 2 * length - 1 <= high
                    for low, high in gaps(prefixes, taken))
    ]  # fmt: skip
    enough = sorted((length, start) for length, start in largest if length >= size)
    assert smallest_free(prefixes, taken=taken, size=size) == (enough[0][1] if enough else None)
    for start in range(0, 64, size):
        within = any(low <= start and start + size - 1 <= high for low, high in prefixes)
        assert is_free(prefixes, taken=taken, block=(start, start + size - 1)) == (within and whole(start, size))


@given(st.integers(0, 1 << 32), st.integers(0, 1 << 20))
def test_a_range_is_made_of_few_blocks(first, size):
    blocks = list(aligned(first, first + size))
    assert sum(held for _, held in blocks) == size + 1
    assert all(at % held == 0 for at, held in blocks)
    assert len(blocks) <= 2 * 32
