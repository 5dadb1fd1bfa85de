"""The table of settings: which values each takes, and what is said of anything else."""

import pytest

from ovenbird.model.settings import (
    DNS_DOMAIN,
    DNS_SERVERS,
    GATEWAY_SCHEDULER,
    LEASE_TIME,
    MAC_BINDING_AGE,
    METADATA,
    MIGRATION_ACTIVATION,
    QUOTAS,
    SETTINGS,
    SettingError,
    assignments,
    checked,
    complaints,
    quoted,
)

ASK = "`ovenbird settings list` shows all"
HOSTILE = (
    " true", "true ", "true\n", "tru", "t\0rue", "\0", "\n", "1.5", "1e3", "0x10", "-2", "- 1", " 5", "5 ", "1_0",
    "\u0661", "9" * 30, "9" * 1_000_000, "0" * 1_000_000 + "x", "," * 1_000_000, "a" * 1_000_000, ".", "..", "a..b",
    "-a.org", "a b", "bl\u00e4.org", "1.2.3.4,nonsense", "1.2.3.4,,", "fe80::1%eth0", "{1.2.3.4}", "LEASTLOADED",
)  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_each_default_is_a_value_in_its_one_form(setting):
    assert setting.canonical(setting.default_text) == setting.default_text
    assert setting.kind.read(setting.default_text) == setting.default
    assert setting.among({}) is None
    assert setting.name == setting.name.lower()
    assert len(setting.meaning) < 130


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_hostile_values_are_stored_canonically_or_refused_in_one_short_line(setting):
    for text in (*HOSTILE, ""):
        if setting.among({setting.name: text}) is not None:
            stored = setting.canonical(text)
            assert setting.canonical(stored) == stored
            assert len(stored) < 2000
            continue
        with pytest.raises(SettingError) as refused:
            setting.canonical(text)
        said = str(refused.value)
        assert (len(said) < 250, said.isprintable()) == (True, True)
        assert said == f"{setting.name}={quoted(text)}: {setting.name} is {setting.kind.allowed}"


@pytest.mark.parametrize(
    ("setting", "text", "value", "stored"),
    [
        (METADATA, "TRUE", True, "true"),
        (METADATA, "off", False, "false"),
        (METADATA, "0", False, "false"),
        (LEASE_TIME, "0600", 600, "600"),
        (LEASE_TIME, "4294967295", 0xFFFFFFFF, "4294967295"),
        (MAC_BINDING_AGE, "0", 0, "0"),
        (QUOTAS["port"], "-1", -1, "-1"),
        (QUOTAS["port"], "0", 0, "0"),
        (MIGRATION_ACTIVATION, "", "", ""),
        (DNS_DOMAIN, "", "", ""),
        (DNS_DOMAIN, "Cloud.example", "Cloud.example", "Cloud.example."),
        (DNS_SERVERS, "", (), ""),
        (DNS_SERVERS, "9.9.9.9, fd00::9", ("9.9.9.9", "fd00::9"), "9.9.9.9,fd00::9"),
        (GATEWAY_SCHEDULER, "chance", "chance", "chance"),
    ],
)
def test_values(setting, text, value, stored):
    assert setting.among({setting.name: text}) == value
    assert setting.canonical(text) == stored


@pytest.mark.parametrize(
    ("setting", "text"),
    [(METADATA, ""), (LEASE_TIME, "0"), (LEASE_TIME, ""), (LEASE_TIME, "4294967296"), (GATEWAY_SCHEDULER, "")],
)
def test_invalid_values_are_refused(setting, text):
    with pytest.raises(SettingError):
        setting.canonical(text)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["metdta=true"], "there is no setting metdta: is metadata meant?"),
        (["METADATA=true"], "there is no setting METADATA: `ovenbird settings list` shows all"),
        (["=true"], "there is no setting '': `ovenbird settings list` shows all"),
        (["metadata"], "metadata is not of the form NAME=VALUE"),
        (["metadata=banana"], "metadata=banana: metadata is true or false"),
        (["metadata="], "metadata='': metadata is true or false"),
        (["metadata= true"], "metadata=' true': metadata is true or false"),
        (["max_routes=-1"], "max_routes=-1: max_routes is a whole number from 0 to 2147483647"),
        (["gateway_scheduler=x"], "gateway_scheduler=x: gateway_scheduler is leastloaded or chance"),
        (["metadata=true", "metadata=true"], "metadata is given twice"),
        (["max_routes=5", "metadata=x"], "metadata=x: metadata is true or false"),
        (["x" * 1_000_000 + "=1"], f"there is no setting {'x' * 60!r}... (1000000 characters): {ASK}"),
        (["a\nb=1"], "there is no setting 'a\\nb': `ovenbird settings list` shows all"),
    ],
)  # fmt: skip
def test_assignments_that_make_no_sense_are_refused_as_a_whole(words, why):
    with pytest.raises(SettingError) as refused:
        assignments(words)
    assert str(refused.value) == why


def test_assignments():
    assert assignments(["metadata=Yes", "dns_domain=a.b", "live_migration_activation_strategy="]) == {
        "metadata": "true", "dns_domain": "a.b.", "live_migration_activation_strategy": "",
    }  # fmt: skip
    assert assignments([]) == checked({}) == {}


def test_invalid_settings_in_the_database_are_reported():
    said = list(complaints({"metadata": "banana", "metdta": "true", "max_routes": "7", "dns_domain": ""}))
    assert said == [
        "settings of the cloud: metadata=banana: metadata is true or false; the default false is used",
        "settings of the cloud: there is no setting metdta: is metadata meant?; it is ignored",
    ]


def test_complaints_about_settings_are_bounded():
    said = list(complaints({f"{number}\n" * 50: "x" * 1000 for number in range(5000)}))
    assert len(said) == 21
    assert said[-1] == "settings of the cloud: 4980 more have no effect"
    assert all(text.isprintable() and len(text) < 250 for text in said)


def test_texts_in_messages():
    assert [quoted(t) for t in ("a=b", "", "a b", "a\n", "\u00e4")] == ["a=b", "''", "'a b'", "'a\\n'", "'\u00e4'"]
