from nas.html_table import html_table


def test_texts_stay_texts_and_what_is_missing_is_a_dash():
    rows = [("<b>", 0.123456), (None, float("nan")), (3, "a&b")]
    assert html_table(["<i>", "value"], rows) == (
        "<table><thead><tr><th>&lt;i&gt;</th><th>value</th></tr></thead><tbody>"
        "<tr><td>&lt;b&gt;</td><td>0.1235</td></tr>"
        "<tr><td>–</td><td>–</td></tr>"
        "<tr><td>3</td><td>a&amp;b</td></tr></tbody></table>"
    )
