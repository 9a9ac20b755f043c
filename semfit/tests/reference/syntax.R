# Parameter tables of lavaan for models of every kind of syntax, and for options that complete a model.
#   Rscript semfit/tests/reference/syntax.R     (writes syntax.json and syntax_sessionInfo.txt beside it)
suppressMessages(library(lavaan))
library(jsonlite)

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))

two <- "f =~ x1 + x2 + x3
g =~ x4 + x5 + x6"
models <- list(
  two = two,
  paths = paste(two, "g ~ f + z1 + z2; y ~ g + z1; w ~ f", sep = "\n"),
  means = paste(two, "x1 ~ 1; f ~ NA*1; x2 ~ 0*1; x3 ~ 0", sep = "\n"),
  modifiers = "f =~ NA*x1 + a*x1 + 0.5?x2 + (1/2)*x3 + start(.7)*x4 + \"l 1\"*x5 + lower(0)*x6 + upper(2)*x6
    f ~~ 1*f",
  equal = "f =~ x1 + x2 + equal(\"f=~x2\")*x3 + x4 + equal(\"f=~x1\")*x5",
  label_on_marker = "f =~ a*x1 + a*x2 + x3 + x4",
  label_and_number = "f =~ x1 + b*x2 + x3 + 2*x4 + b*x4",
  unit = "f =~ NA*x1 + x2 + x3\nf ~~ 1*f",
  phantom = paste(two, "p =~ 0\np ~ a*f + b*g", sep = "\n"),
  single = "f =~ x1\ng =~ x2 + x3 + x4\ng ~ f",
  second = "f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\nh =~ x7 + x8 + x9\ns =~ f + g + h",
  extra = "y ~ x\nu ~~ v\nx ~~ w\nk ~ 1",
  product = "y ~ x + z + x:z",
  moderated = "m ~ x\ny ~ m + z + m:z",
  growth = "i =~ 1*t1 + 1*t2 + 1*t3 + 1*t4\ns =~ 0*t1 + 1*t2 + 2*t3 + 3*t4
    t1 + t2 + t3 + t4 ~ 0*1\ni ~ 1\ns ~ 1\ni + s ~ x1",
  residuals = paste(two, "x1 + x2 ~~ x4; x3 ~~ 0*x6; f ~~ 0*g", sep = "\n"),
  dots = "l.x =~ x.1 + lambda*x_2 + l.2*x.3\n.y ~ l.x",
  several_outcomes = "y1 + y2 ~ x1 + b*x2\ny3 ~ y1",
  indicator_predicts = paste(two, "g ~ x1; y ~ f", sep = "\n")
)
groups <- list(
  vectors = "f =~ x1 + c(a, b)*x2 + c(NA, 1)*x3 + c(\"d\", \"e\")*x4\nx1 ~ c(m1, m2)*1\nf ~ c(0, NA)*1",
  start_vectors = "f =~ x1 + start(c(.5, .6))*x2 + c(a, a)*x3 + x4",
  shared_label = "f =~ x1 + a*x2 + x3\ny ~ b*f",
  blocks = "group: 1\nf =~ x1 + x2 + a*x3\nf ~ z\ngroup: 2\nf =~ x1 + a*x2 + x3\nf ~ 0*z"
)
options <- list(
  default = list(), std_lv = list(std.lv = TRUE), orthogonal = list(orthogonal = TRUE),
  auto_var = list(auto.var = FALSE),
  growth = list(int.ov.free = FALSE, int.lv.free = TRUE, meanstructure = TRUE),
  lavaan = list(int.ov.free = FALSE, auto.fix.first = FALSE, auto.fix.single = FALSE, auto.var = FALSE,
    auto.cov.lv.x = FALSE, auto.cov.y = FALSE), fixed_x = list(fixed.x = FALSE),
  mean_structure = list(meanstructure = TRUE),
  effect_coding = list(effect.coding = TRUE, auto.fix.first = FALSE, meanstructure = TRUE),
  effect_loadings = list(effect.coding = "loadings", auto.fix.first = FALSE)
)
group_options <- list(
  default = list(),
  loadings = list(group.equal = "loadings"),
  std_lv_loadings = list(std.lv = TRUE, group.equal = "loadings"),
  intercepts = list(group.equal = c("loadings", "intercepts")),
  effect_coding = list(effect.coding = TRUE, auto.fix.first = FALSE)
)

# rows, with one number for parameters that are equal; constraints between rows that are not equalities
table_of <- function(model, extra) {
  default <- list(model = model, int.ov.free = TRUE, auto.fix.first = TRUE, auto.fix.single = TRUE,
    auto.var = TRUE, auto.cov.lv.x = TRUE, auto.cov.y = TRUE, auto.th = TRUE, auto.delta = TRUE,
    fixed.x = TRUE, model.type = "sem")
  if (isTRUE(extra$std.lv)) extra$auto.fix.first <- FALSE
  table <- suppressWarnings(do.call("lavaanify", modifyList(default, extra)))
  same <- table[table$op == "==" & table$user == 2 & grepl("^[.]p[0-9]+[.]$", table$rhs), ]
  coded <- table[table$op == "==" & table$user == 2 & !grepl("^[.]p[0-9]+[.]$", table$rhs), ]
  rows <- table[!table$op %in% c("==", "<", ">", ":="), ]
  class <- ifelse(rows$free > 0, rows$id, 0)
  for (i in seq_len(nrow(same))) {
    pair <- match(c(same$lhs[i], same$rhs[i]), rows$plabel)
    if (all(class[pair] > 0)) class[class == class[pair[2]]] <- class[pair[1]]
  }
  bound <- function(name, none) if (is.null(rows[[name]])) rep(none, nrow(rows)) else rows[[name]]
  list(
    lhs = rows$lhs, op = rows$op, rhs = rows$rhs, group = rows$group, class = class,
    value = ifelse(rows$free > 0, NA, rows$ustart), start = ifelse(rows$free > 0, rows$ustart, NA),
    exogenous = rows$exo == 1, lower = bound("lower", -Inf), upper = bound("upper", Inf),
    coded = nrow(coded)
  )
}

result <- list(one = list(), two = list())
for (name in names(models)) for (option in names(options)) {
  result$one[[name]]$model <- models[[name]]
  result$one[[name]]$tables[[option]] <- table_of(models[[name]], options[[option]])
}
for (name in c("two", names(groups))) for (option in names(group_options)) {
  model <- c(models, groups)[[name]]
  extra <- c(group_options[[option]], list(ngroups = 2, meanstructure = TRUE))
  result$two[[name]]$model <- model
  result$two[[name]]$tables[[option]] <- table_of(model, extra)
}
text <- toJSON(result, auto_unbox = TRUE, digits = NA, na = "null")
writeLines(text, file.path(here, "syntax.json"))
writeLines(capture.output(sessionInfo()), file.path(here, "syntax_sessionInfo.txt"))
