"""The Chinese tasks: reading, search results, a meeting, headlines, and the paragraph that was summarised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acenv.envs.base import pick
from acenv.envs.longcontext.longbench.drafts import Draft, Size, shuffled

SURNAMES = "王李张刘陈杨赵黄周吴徐孙马朱胡郭何高林罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚"
COLOURS = ("红色", "蓝色", "绿色", "白色", "黑色", "黄色", "紫色", "灰色")
OBJECTS = ("雨伞", "水壶", "相机", "地图", "毛毯", "钥匙", "账本", "手表", "眼镜", "皮箱", "茶杯", "台灯")
ROOMS = ("书房", "仓库", "厨房", "阁楼", "办公室", "卧室", "车库", "教室")
SPOTS = ("柜子里", "桌子上", "箱子里", "架子上", "窗台上", "抽屉里")
TIMES = ("清晨", "中午", "傍晚", "深夜", "雨后", "周末")
PEOPLE = ("邮递员", "老师", "木匠", "司机", "厨师", "护士", "渔夫", "裁缝", "园丁", "画家")
DEEDS = (
    "修好了旧木船",
    "数了三遍铜钱",
    "卖掉了一篮苹果",
    "画了一座石桥",
    "洗干净了窗帘",
    "搬走了两袋面粉",
    "种下了一排柳树",
)
SITES = ("河边", "市场", "桥下", "山脚", "车站", "学校门口", "码头")

NEWS: dict[str, tuple[str, ...]] = {
    "体育": ("{who}在{site}的长跑比赛中得了第一名", "{who}所在的球队昨天赢了两个球"),
    "天气": ("{time}{site}一带有大雨，气温下降", "{site}附近{time}起雾，风力三级"),
    "交通": ("通往{site}的公路{time}发生拥堵", "开往{site}的火车{time}晚点半小时"),
    "教育": ("{who}给{site}的小学生上了第一堂课", "新学期开学，{who}在{site}领到了课本"),
    "健康": ("{who}在{site}为居民量血压", "医生在{site}提醒大家接种疫苗"),
    "财经": ("{site}的股票{time}上涨了百分之二", "银行在{site}宣布下调利率"),
    "美食": ("{who}在{site}开了一家面馆", "{site}的饺子{time}最受欢迎"),
    "音乐": ("{who}在{site}举办了钢琴独奏会", "合唱团{time}在{site}唱了三首歌"),
    "法律": ("法院{time}判决了{site}的盗窃案", "律师{who}在{site}解释合同条款"),
    "科技": ("{who}在{site}展示了新的机器人", "工程师{time}在{site}测试了芯片"),
    "农业": ("{site}的水稻{time}开始收割", "{who}在{site}教农民给果树剪枝"),
    "环境": ("志愿者{time}在{site}清理垃圾", "{site}的河水经过治理变清了"),
}


def _names(rng: np.random.Generator, count: int) -> list[str]:
    return list(pick(rng, [surname + given for surname in SURNAMES for given in GIVEN], count))


def _objects(rng: np.random.Generator, count: int) -> list[str]:
    return list(pick(rng, [f"{colour}的{thing}" for colour in COLOURS for thing in OBJECTS], count))


def _noise(rng: np.random.Generator) -> str:
    return f"{pick(rng, TIMES)}，{pick(rng, PEOPLE)}在{pick(rng, SITES)}{pick(rng, DEEDS)}。"


def _bury(rng: np.random.Generator, sentences: Sequence[str], chars: int) -> str:
    """A text of about so many characters that says the sentences in their order."""
    others = [_noise(rng) for _ in range(max(0, chars - sum(map(len, sentences))) // 15)]
    places = np.sort(rng.integers(0, len(others) + 1, size=len(sentences))).tolist()
    text, start = [], 0
    for place, sentence in zip(places, sentences, strict=True):
        text += [*others[start:place], sentence]
        start = place
    return "".join([*text, *others[start:]])


def _kept(rng: np.random.Generator, count: int) -> list[tuple[str, str, str]]:
    """Whose what is where; no two share the owner, the thing or the place."""
    places = pick(rng, [f"{room}的{spot}" for room in ROOMS for spot in SPOTS], count)
    return list(zip(_names(rng, count), _objects(rng, count), places, strict=True))


def reading(rng: np.random.Generator, size: Size) -> Draft:
    """Where something is now, which was elsewhere before."""
    kept = _kept(rng, size.items)
    told = [f"{who}把{thing}放在{place}。" for who, thing, place in kept]
    for _ in range(size.hops):
        told += [f"{thing}原来在{pick(rng, ROOMS)}的{pick(rng, SPOTS)}。" for _, thing, _ in kept]
    who, thing, place = pick(rng, kept)
    subject = f"{who}放好的东西" if size.hops > 2 else thing
    text = _bury(rng, shuffled(rng, told), size.chars)
    return Draft(
        f"请阅读文章并回答问题，只写答案。\n\n文章：{text}\n\n请根据文章回答问题，只写答案。\n\n问题：{subject}现在在哪里？\n答案：",
        (place,),
    )


def search(rng: np.random.Generator, size: Size) -> Draft:
    """The sentence of one of several articles that answers a question."""
    kept = _kept(rng, size.items)
    told = [f"{who}把{thing}放在{place}。" for who, thing, place in kept]
    told += [f"{who}以前把{thing}放在{pick(rng, ROOMS)}的{pick(rng, SPOTS)}。" for who, thing, _ in kept]
    each = size.chars // len(told)
    order = shuffled(rng, told)
    text = "\n\n".join(f"文章{i}：{_bury(rng, [sentence], each)}" for i, sentence in enumerate(order, 1))
    who, thing, place = pick(rng, kept)
    owner = "谁" if size.hops > 2 else who
    rule = "请用文章里的一句原话回答，不要写别的。"
    return Draft(
        f"请根据下面的文章回答问题。{rule}\n\n{text}\n\n{rule}\n\n问题：{owner}现在把{thing}放在哪里？\n回答：",
        (f"{who}把{thing}放在{place}。",),
    )


def meeting(rng: np.random.Generator, size: Size) -> Draft:
    """Who is to do what, after all changes."""
    jobs = _objects(rng, size.items)
    names = _names(rng, size.items)
    latest: dict[str, str] = {}
    lines = []
    order = [*jobs, *(str(pick(rng, jobs)) for _ in range(size.items * (size.hops - 1)))]
    each = size.chars // len(order)
    for job in order:
        latest[job] = str(pick(rng, [name for name in names if name != latest.get(job)]))
        said = _bury(rng, [f"我提议由{latest[job]}保管{job}，大家同意。"], each)
        lines.append(f"{pick(rng, names)}：{said}")
    talk = "\n".join(lines)
    rule = "总结要按物品第一次被提到的顺序，写明最后由谁保管，每件一句，例如：张三保管红色的书。不要写别的。"
    summary = "".join(f"{name}保管{job}。" for job, name in latest.items())
    return Draft(f"请为下面的会议记录写一段总结。\n\n会议记录：\n{talk}\n\n{rule}\n\n总结：", (summary,))


def headlines(rng: np.random.Generator, size: Size) -> Draft:
    """The class of a piece of news, as examples show it."""
    classes = shuffled(rng, tuple(NEWS))[: 4 + size.hops * 2]

    def write(name: str) -> str:
        news = str(pick(rng, NEWS[name])).format(who=_names(rng, 1)[0], site=pick(rng, SITES), time=pick(rng, TIMES))
        return f"新闻：{news}。{''.join(_noise(rng) for _ in range(3))}\n类别："

    number = max(len(classes), size.chars // 75)
    shown = [classes[i % len(classes)] for i in range(number)]
    text = "\n".join(f"{write(name)}{name}" for name in shuffled(rng, shown))
    asked = str(pick(rng, classes))
    return Draft(f"请按照例子判断最后一条新闻的类别。\n\n{text}\n{write(asked)}", (asked,), tuple(classes))


def retrieval(rng: np.random.Generator, size: Size) -> Draft:
    """Which paragraph a short summary is of."""
    total = 2 * size.items
    subjects = _objects(rng, size.items)
    about: list[list[str]] = []
    while len(about) < total:
        chosen = pick(rng, subjects, 3)
        if not any(set(chosen) == set(other) for other in about):
            about.append(chosen)
    texts = []
    for chosen in about:
        told = [f"{name}借走了{thing}。" for name, thing in zip(_names(rng, 3), chosen, strict=True)]
        texts.append(_bury(rng, told, size.chars // total))
    place = int(rng.integers(total))
    summary = "这一段讲到了" + "、".join(shuffled(rng, about[place])) + "。"
    text = "\n\n".join(f"段落{i}：{part}" for i, part in enumerate(texts, 1))
    return Draft(
        f"下面的摘要出自其中一个段落。\n\n{text}\n\n摘要：{summary}\n\n请写出段落的编号，格式如：段落1\n\n答案：",
        (f"段落{place + 1}",),
    )
