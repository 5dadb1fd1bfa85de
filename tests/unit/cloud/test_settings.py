"""Settings that somebody wrote into Cloud unchecked, and what a change of one computes anew."""

from ovenbird.northd.findings import CompilerFindings


def test_a_row_without_effect_is_a_finding_until_it_is_corrected(world, caplog):
    findings = CompilerFindings()
    findings.observe(world.engine)
    world.configure(metadata="banana", metdta="true", max_routes="5")
    world.settle()
    wrong = [
        "settings of the cloud: metadata=banana: metadata is true or false; the default false is used",
        "settings of the cloud: there is no setting metdta: is metadata meant?; it is ignored",
    ]
    assert list(findings) == wrong
    world.subnet(world.network())
    world.settle()
    assert [r.message for r in caplog.records if r.message.startswith("settings")] == wrong
    world.configure(metadata="true", max_routes="5")
    world.settle()
    assert list(findings) == []


def test_a_change_computes_anew_what_reads_that_setting_alone(world):
    for number in range(3):
        world.subnet(world.network(), cidr=f"10.{number}.0.0/24", gateway_ip=f"10.{number}.0.1")
    world.configure(max_routes="3")
    world.settle()
    world.configure(max_routes="4", agent_down_time="2")
    world.engine.run()
    assert "subnet_dhcp" not in world.engine.ran
    world.settle()
    world.configure(dhcp_default_lease_time="600")
    world.engine.run()
    assert world.engine.ran["subnet_dhcp"] == 3
