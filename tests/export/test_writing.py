from channeld.export.writing import as_json


def test_keys_keep_their_order_and_letters_are_letters() -> None:
    assert as_json({"z": "ü", "a": [1]}) == '{\n  "z": "ü",\n  "a": [\n    1\n  ]\n}\n'
