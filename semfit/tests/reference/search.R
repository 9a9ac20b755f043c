# Models on which a search goes astray: what lavaan finds.
#
# Run: Rscript semfit/tests/reference/search.R (from the root of the repository; reads estimators/data_*.csv). It makes
# search.json and search_sessionInfo.txt. The first four once ended at a point that is no minimum.
suppressMessages({library(lavaan); library(jsonlite)})
OUT <- "semfit/tests/reference"
data_of <- function(name) read.csv(file.path(OUT, "estimators", paste0("data_", name, ".csv")))
three <- "v =~ x1 + x2 + x3; t =~ x4 + x5 + x6; s =~ x7 + x8 + x9"
one <- "g =~ NA*x1 + x2 + x3 + x4; g ~~ 1*g"
cases <- list(
  unit_variance_fiml = list(one, "hsmiss", list(missing = "fiml")),
  unit_variance_wlsmv = list(one, "hscat", list(estimator = "WLSMV", ordered = TRUE)),
  second_order = list(paste0(three, "; g =~ NA*v + t + s; g ~~ 1*g"), "hs", list()),
  fixed_covariance = list("v =~ x1 + x2 + x3; t =~ x4 + x5 + x6; v ~~ 0.6*t", "hs", list()),
  large_fixed_covariance = list("v =~ x1 + x2 + x3; t =~ x4 + x5 + x6; v ~~ 1.2*t", "hs", list()),
  second_order_wlsmv = list(
    paste0(three, "; g =~ NA*v + t + s; g ~~ 1*g"), "hscat", list(estimator = "WLSMV", ordered = TRUE)
  ),
  second_order_fiml = list(
    paste0(three, "; g =~ NA*v + t + s; g ~~ 1*g"), "hsmiss", list(missing = "fiml")
  ),
  all_unit_variances = list(
    "v =~ NA*x1 + x2 + x3; t =~ NA*x4 + x5 + x6; s =~ NA*x7 + x8 + x9
     v ~~ 1*v; t ~~ 1*t; s ~~ 1*s; g =~ NA*v + t + s; g ~~ 1*g", "hs", list()
  ),
  mimic = list("v =~ NA*x1 + x2 + x3; v ~~ 1*v; v ~ ageyr + female; x2 ~ female", "hs", list()),
  reciprocal = list(
    "v =~ x1 + x2 + x3; t =~ x4 + x5 + x6; v ~ t + ageyr; t ~ v + grade", "hs", list()
  ),
  two_indicators = list("v =~ NA*x1 + x2; t =~ NA*x4 + x5; v ~~ 1*v; t ~~ 1*t; v ~~ t", "hs", list()),
  bifactor = list(
    "g =~ NA*x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9; t =~ NA*x4 + x5 + x6; s =~ NA*x7 + x8 + x9
     g ~~ 1*g; t ~~ 1*t; s ~~ 1*s; g ~~ 0*t + 0*s; t ~~ 0*s", "hs", list()
  ),
  growth = list("i =~ 1*x1 + 1*x2 + 1*x3; l =~ 0*x1 + 1*x2 + 2*x3; i ~~ l
     x1 ~ 0*1; x2 ~ 0*1; x3 ~ 0*1; i ~ 1; l ~ 1", "hs", list()),
  groups = list(one, "hs", list(group = "school", group.equal = "loadings", group.label = c("Grant-White", "Pasteur")))
)

result <- lapply(cases, function(case) {
  fit <- do.call("sem", c(list(case[[1]], data_of(case[[2]]), fixed.x = TRUE), case[[3]]))
  measures <- fitMeasures(fit)
  stopifnot(lavInspect(fit, "converged"))
  table <- parTable(fit)
  table <- table[table$op %in% c("=~", "~", "~~"), ]
  list(
    model = case[[1]], data = case[[2]], options = case[[3]],
    chisq = unname(measures["chisq"]), df = unname(measures["df"]),
    scaled = if ("chisq.scaled" %in% names(measures)) unname(measures["chisq.scaled"]),
    estimates = data.frame(lhs = table$lhs, op = table$op, rhs = table$rhs, group = table$group, est = table$est)
  )
})
write(toJSON(result, digits = I(12), auto_unbox = TRUE, null = "null", pretty = TRUE), file.path(OUT, "search.json"))
writeLines(sub(" /.*/", " ", capture.output(sessionInfo())), file.path(OUT, "search_sessionInfo.txt"))
